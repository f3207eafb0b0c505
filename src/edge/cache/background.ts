// Validations that no client waits for (stale-while-revalidate, refresh ahead) and answers fetched ahead (push): exchanges
// of our own with a client that takes everything. Bounded per worker; one a key over all workers, as its fill is led.

import { conditionalFields, conditionNames, requestDirectives } from '../../policy/freshness/index.ts'
import type { ExchangeClient } from '../client.ts'
import type { CompiledRoute, CompiledSnapshot } from '../compile.ts'
import type { CopiedRequest, Exchange } from '../exchange.ts'
import { NoClient } from '../no-client.ts'
import type { CachedRoute } from './cached-route.ts'
import { addEdits, editsWith } from './request-edits.ts'
import { headOf, originFields } from './stored-fields.ts'
import { Work } from './work.ts'

const copyLimits = { requestLineBytesMax: 1 << 20, headerBytesMax: 1 << 20, headerCountMax: 1_024 }
const nothingDropped = new Uint8Array(256)

/** After the callback that answers the exchange from what is stored. Does nothing where somebody is at it, or too many are. */
export function validateBehind(exchange: Exchange, route: CachedRoute, baseKey: string, key: string): void {
  const { loads, store, worker } = route
  if (worker.draining || loads.background >= route.edge.backgroundMax) return
  const fill = store.lead(key)
  if (fill === null) return
  const entry = store.get(key)
  if (entry === null) {
    fill.abort()
    return
  }
  loads.background++
  const { head } = exchange
  const work = new Work(route, baseKey, key, fill, entry, requestDirectives(head, route.spec), 'stale')
  const edits = exchange.requestEdits
  const lines = originFields(entry.meta.status, entry.fields, entry.meta.flags)
  const conditions = conditionalFields(headOf(entry.meta.status, lines))
  work.validates = conditions !== ''
  addEdits(exchange, [...conditionNames, ...route.unkeyed], conditions + route.capability)
  const copy: CopiedRequest = {
    path: exchange.path,
    target: exchange.target,
    bodyText: '',
    idSuffix: exchange.idSuffix,
    edits: exchange.requestEdits,
  }
  exchange.requestEdits = edits
  const client = new NoClient(worker, exchange.client as ExchangeClient, () => {
    loads.background--
  })
  const lineAndFields = head.copyWithLine(nothingDropped, null)
  const text = `${head.method === 'HEAD' ? lineAndFields.replace('HEAD', 'GET') : lineAndFields}\r\n`
  setImmediate(begin, work, exchange.snapshot, exchange.route as CompiledRoute, client, text, copy)
}

function begin(
  work: Work,
  snapshot: CompiledSnapshot | null,
  route: CompiledRoute,
  client: NoClient,
  text: string,
  copy: CopiedRequest,
): void {
  const { worker } = work.route
  worker.refresh()
  // The route's row may belong to somebody else when its snapshot has gone.
  if (worker.draining || worker.snapshot !== snapshot || !beginOwn(work, route, client, text, copy)) {
    work.over()
    client.exchangeDone()
  }
}

/** False: `text` is no request, and nothing was begun. */
export function beginOwn(
  work: Work,
  route: CompiledRoute,
  client: ExchangeClient,
  text: string,
  copy: CopiedRequest,
): boolean {
  const { worker } = work.route
  const exchange = worker.takeExchange()
  exchange.head.reset(copyLimits)
  if (exchange.head.parse(text) <= 0) {
    worker.giveExchange(exchange)
    return false
  }
  exchange.cache = work
  exchange.background = true
  exchange.toParent = work.route.parent !== null
  if (exchange.toParent) work.ownGroup = route.group
  const loop = exchange.toParent ? `CDN-Loop: ${worker.pseudonym}\r\n` : ''
  exchange.beginCopy(client, work.route.ownRoute(route), {
    ...copy,
    edits: loop === '' ? copy.edits : editsWith(copy.edits, [], loop),
  })
  return true
}
