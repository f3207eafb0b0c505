// Tiers: on a miss another Tenfold is asked before the route's own instances (origin shield). The last gate, so that no
// split sends the request elsewhere. RFC 8586: who has its own name in CDN-Loop already asks the instances.

import type { Exchange } from '../exchange.ts'
import { type Gate, gateAnswer } from '../gate.ts'
import type { CachedRoute } from './cached-route.ts'
import { addEdits } from './request-edits.ts'
import { Work } from './work.ts'

export class ParentGate implements Gate {
  readonly name = 'cache-parent'
  readonly #route: CachedRoute

  constructor(route: CachedRoute) {
    this.#route = route
  }

  enter(exchange: Exchange): number {
    const work = exchange.cache
    if (work instanceof Work) askParent(exchange, work, this.#route)
    return gateAnswer.pass
  }
}

export function askParent(exchange: Exchange, work: Work, { parent, worker }: CachedRoute): void {
  if (parent === null || exchange.group === null) return
  const passed = exchange.head.find('cdn-loop') ?? ''
  if (passed.includes(worker.pseudonym)) return
  work.ownGroup = exchange.group
  exchange.group = parent
  exchange.toParent = true
  addEdits(exchange, [], `CDN-Loop: ${worker.pseudonym}\r\n`)
}
