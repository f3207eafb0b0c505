// Which upstream a request goes to, where its route has a split or a canary: a rule by header or cookie, else the client's
// place in 0..1 (policy/canary), the same for as long as the client is. Who the client is says a signed cookie on routes
// that are sticky by cookie, so that it keeps its side when its address changes; elsewhere its address. Sets
// `exchange.group`; never waits, never refuses.

import { belongsToCanary, chooseShare } from '../policy/canary.ts'
import { hashText } from '../policy/hash.ts'
import { canaryRow, canarySide } from './cells.ts'
import type { CompiledRoute } from './compile.ts'
import type { WorkerContext } from './context.ts'
import type { Exchange } from './exchange.ts'
import { type Gate, gateAnswer } from './gate.ts'
import type { MemberGroup } from './group.ts'
import { clientAddress } from './request-text.ts'
import type { CanarySpec, RouteAction, RouteSpec } from './snapshot.ts'
import { cookieValue } from './sticky.ts'

type Proxy = Extract<RouteAction, { kind: 'proxy' }>
type Part = NonNullable<Proxy['split']>[number]

/** The canary's slot where the route has one. */
export function splitGates(
  worker: WorkerContext,
  { action }: RouteSpec,
  groups: ReadonlyMap<string, MemberGroup>,
  canarySlot: number | undefined,
): Gate[] {
  if (action.kind !== 'proxy') return []
  const gates: Gate[] = []
  if (action.split !== undefined) gates.push(new SplitGate(action.split, groups))
  if (action.canary !== undefined && canarySlot !== undefined)
    gates.push(new CanaryGate(worker, action.canary, groups, canarySlot))
  return gates
}

class SplitGate implements Gate {
  readonly name = 'split'
  readonly #parts: readonly Part[]
  readonly #groups: readonly MemberGroup[]

  constructor(parts: readonly Part[], groups: ReadonlyMap<string, MemberGroup>) {
    this.#parts = parts
    this.#groups = parts.map(part => groups.get(part.upstream) as MemberGroup)
  }

  enter(exchange: Exchange): number {
    const part = chooseShare(clientHash(exchange), this.#parts)
    if (part >= 0) exchange.group = this.#groups[part] as MemberGroup
    return gateAnswer.pass
  }
}

class CanaryGate implements Gate {
  readonly name = 'canary'
  readonly #worker: WorkerContext
  readonly #spec: CanarySpec
  readonly #group: MemberGroup
  readonly #slot: number

  constructor(
    worker: WorkerContext,
    spec: CanarySpec,
    groups: ReadonlyMap<string, MemberGroup>,
    slot: number,
  ) {
    this.#worker = worker
    this.#spec = {
      ...spec,
      ...(spec.header && { header: { ...spec.header, name: spec.header.name.toLowerCase() } }),
    }
    this.#group = groups.get(spec.upstream) as MemberGroup
    this.#slot = slot
  }

  enter(exchange: Exchange): number {
    const { index, cells } = this.#worker
    const chosen = this.#takes(exchange)
    exchange.sideRow = canaryRow(index, this.#slot, chosen ? canarySide.canary : canarySide.others)
    if (chosen) exchange.group = this.#group
    else if (cells.canary.outReason[this.#slot] !== 0) exchange.sideRow = -1
    return gateAnswer.pass
  }

  /** While it is out, nothing reaches the canary, whatever the request asks for; nor while none of its members serves. */
  #takes(exchange: Exchange): boolean {
    if (this.#worker.cells.canary.outReason[this.#slot] !== 0) return false
    const spec = this.#spec
    const wanted =
      asksForCanary(exchange, spec) || belongsToCanary(clientHash(exchange), spec.upstream, spec.share)
    return wanted && this.#group.anyServing
  }
}

function asksForCanary({ head }: Exchange, { header, cookie }: CanarySpec): boolean {
  if (header !== undefined && head.find(header.name) === header.value) return true
  if (cookie === undefined) return false
  const cookies = head.find('cookie')
  return cookies !== undefined && cookieValue(cookies, cookie.name) === cookie.value
}

/** 32 bits that stay the same for a client. */
function clientHash(exchange: Exchange): number {
  const { action } = (exchange.route as CompiledRoute).spec
  if (action.kind !== 'proxy' || action.sticky?.by !== 'cookie') return hashText(clientAddress(exchange))
  const { sticky } = exchange.worker
  const cookies = exchange.head.find('cookie')
  const name = `${action.sticky.name}_side`
  const value = cookies === undefined ? undefined : cookieValue(cookies, name)
  const known = value === undefined ? -1 : sticky.sideOf(value)
  if (known >= 0) return known
  const hash = hashText(clientAddress(exchange))
  const line = sticky.setSideLine(action.sticky, name, hash)
  if (!exchange.extraFields.includes(line)) exchange.extraFields += line
  return hash
}
