// What comes of an instance's answer on a cached route: it is stored on its way to the client, or it says that what is
// stored is still good, or it is a failure in whose place what is stale is served; and after unsafe methods what is stored
// is forgotten. The outermost of a route's steps: it sees answers before hooks, causal reads and compression.

import {
  browserCacheControl,
  type CacheRules,
  cacheReasonLabel,
  cacheReasonText,
  type Fields,
  headEffect,
  hostPart,
  invalidatedTargets,
  invalidates,
  type Judged,
  judgeStorage,
  matches304,
  originTags,
  updatedFields,
  varyText,
} from '../../policy/freshness/index.ts'
import { fieldId } from '../../wire/fields.ts'
import { parseHttpDate } from '../../wire/http-date.ts'
import { framing, type Http1ResponseHead } from '../../wire/http1/index.ts'
import type { CompiledRoute } from '../compile.ts'
import type { Exchange } from '../exchange.ts'
import { cacheResult } from '../exchange-record.ts'
import { isConditional, nowSeconds, verdictOn } from '../representation.ts'
import type { ResponseSink, ResponseStep } from '../response-sink.ts'
import type { Fill, StoredEntry, StoredMeta, WorkerStore } from '../store/contract.ts'
import { type CachedRoute, keyWith } from './cached-route.ts'
import { aliasOf } from './languages.ts'
import { askedLine, isPart, partKey } from './partials.ts'
import { withoutEdits } from './request-edits.ts'
import { answerStored, validatorsOf } from './stored-answer.ts'
import {
  bodyBytesOf,
  headOf,
  notIn304,
  originFields,
  replacedByRule,
  type StoredFields,
  storedFields,
  storedFlag,
  withoutNames,
} from './stored-fields.ts'
import { InsteadSink, TeeSink } from './tee-sink.ts'
import { ttlText } from './told.ts'
import { toldRequest } from './told-request.ts'
import { Posting, Work } from './work.ts'

/** Nobody waits for answers that are one client's; and for a moment not for those that merely can't be stored. */
const personalUs = 10_000_000
const unstoredUs = 1_000_000
/** A marker goes with a purge or by eviction, never by age. */
const markerUs = 1e15

export class CacheStep implements ResponseStep {
  readonly #route: CachedRoute
  readonly #inner: ResponseStep | null

  constructor(route: CachedRoute, inner: ResponseStep | null) {
    this.#route = route
    this.#inner = inner
  }

  begin(exchange: Exchange, head: Http1ResponseHead): ResponseSink | null {
    const work = exchange.cache
    if (!(work instanceof Work)) {
      const isOvertaken = !(work instanceof Posting) || this.#isOvertaken(exchange, head, work)
      forgetAfter(exchange, head, this.#route.store, target => this.#route.targetOf(target))
      if (isOvertaken) return this.#inner?.begin(exchange, head) ?? null
      return this.#posted(exchange, head) ?? this.#inner?.begin(exchange, head) ?? null
    }
    const { status } = head
    if (status === 304 && work.validates) return this.#notModified(exchange, work, head)
    if (status >= 500 && work.mayServeStale(exchange, status))
      return this.#instead(exchange, () => work.serveStale(exchange, status))
    if (exchange.head.method === 'HEAD') this.#heard(exchange, work, head)
    return this.#take(exchange, work, head)
  }

  /** What the origin was asked to do for a POST may have been purged before it answered. */
  #isOvertaken(exchange: Exchange, head: Http1ResponseHead, { purges }: Posting): boolean {
    const { store } = this.#route
    if (store.purgesBegun === purges) return false
    const key = this.#route.keyOf(exchange)
    const tags = [...this.#route.tagsOf(exchange), ...originTags(head)]
    return key === null || store.isPurgedSince(key, tags, purges)
  }

  #instead(exchange: Exchange, answer: () => void): InsteadSink {
    return new InsteadSink(() => {
      exchange.worker.refresh()
      answer()
    })
  }

  /**
   * RFC 9110 9.3.3: the answer to a POST is what a GET would get where its Content-Location is the target and the origin
   * itself says how long it is fresh. Rules have no say in it.
   */
  #posted(exchange: Exchange, head: Http1ResponseHead): ResponseSink | null {
    const { authority, method } = exchange.head
    const said = head.find('content-location')
    if (method !== 'POST' || head.status !== 200 || said === undefined) return null
    if (said.replace(/^https?:\/\//, '') !== authority + exchange.target && said !== exchange.target)
      return null
    const route = this.#route
    if (!isOwn(exchange, route) || route.goesPast(exchange)) return null
    // What was passed on with it may have made the answer, and is not in the key.
    if (route.unkeyed.some(name => exchange.head.find(name) !== undefined)) return null
    const judged = this.#judge(exchange, head, 'GET', originAlone)
    const bodyBytes = bodyBytesOf(head)
    const key = this.#route.keyOf(exchange)
    if (!judged.store || judged.vary.length > 0 || bodyBytes < -1 || key === null) return null
    const fill = this.#route.store.lead(key)
    const made = storedFields(exchange, head, judged, this.#route.spec, bodyBytes)
    const tags = [...this.#route.tagsOf(exchange), ...originTags(head)]
    if (fill === null || !fill.begin(metaOf(judged, made), made.text, tags, bodyBytes)) return null
    const inner = this.#inner?.begin(exchange, head) ?? null
    if (inner === null) exchange.sendHead(head, head.framing, null)
    return new TeeSink(exchange, fill, inner, false)
  }

  // --- 304, HEAD: what is stored is good, or not --------------------------------------------------------------

  #notModified(exchange: Exchange, work: Work, head: Http1ResponseHead): ResponseSink {
    const entry = work.stale as StoredEntry
    const { meta, fields } = entry
    const stored = headOf(meta.status, originFields(meta.status, fields, meta.flags))
    if (!matches304(stored, head)) return this.#instead(exchange, () => this.#askWhole(exchange, work))
    const updated = this.#freshen(exchange, work, entry, head)
    return this.#instead(exchange, () => this.#serveFreshened(exchange, work, entry, updated))
  }

  /** The origin spoke of something else than what is stored (RFC 9111 4.3.4): the request once more, without conditions. */
  #askWhole(exchange: Exchange, work: Work): void {
    work.validates = false
    exchange.requestEdits = withoutEdits(exchange.requestEdits, 'If-None-Match', 'If-Modified-Since')
    exchange.askAgain()
  }

  /** Null: it may not be stored any more. */
  #freshen(
    exchange: Exchange,
    work: Work,
    entry: StoredEntry,
    news: Http1ResponseHead,
  ): { meta: StoredMeta; fields: string } | null {
    const { meta } = entry
    const lines = originFields(meta.status, entry.fields, meta.flags)
    const merged = headOf(
      meta.status,
      updatedFields(lines, news.copyFields(nothingDropped, null), this.#route.spec.shareCookies),
    )
    const judged = this.#judge(exchange, merged, 'GET')
    const { fill } = work
    work.fill = null
    if (!judged.store || !this.#isFoundBy(work.baseKey, entry.key, judged.vary)) {
      this.#route.store.remove(entry.key)
      fill?.alone(unstoredUs)
      return null
    }
    const made = storedFields(exchange, merged, judged, this.#route.spec, lengthOf(entry))
    const next = metaOf(judged, made)
    this.#route.store.freshen(entry, next, made.text)
    fill?.validated()
    return { meta: next, fields: made.text }
  }

  /** A 304 may change Vary: what is stored then stands under a key that others ask by too. */
  #isFoundBy(baseKey: string, key: string, vary: readonly string[]): boolean {
    if (key === baseKey) return vary.length === 0
    const marker = this.#route.store.get(baseKey)
    const same =
      marker !== null && (marker.meta.flags & storedFlag.marker) !== 0 && marker.fields === vary.join(',')
    marker?.release()
    return same
  }

  #serveFreshened(
    exchange: Exchange,
    work: Work,
    entry: StoredEntry,
    updated: { meta: StoredMeta; fields: string } | null,
  ): void {
    work.stale = null
    exchange.giveUpAnswer()
    if (exchange.background) {
      entry.release()
      exchange.respond(304, '', '')
      return
    }
    exchange.cacheResult = cacheResult.revalidated
    const { meta, fields } = updated ?? entry
    const said = `fwd=${work.forward}; fwd-status=304; ttl=${ttlText(meta, exchange.worker.now)}`
    answerStored(exchange, this.#route, entry, meta, fields, said)
  }

  /** RFC 9111 4.3.5. */
  #heard(exchange: Exchange, work: Work, head: Http1ResponseHead): void {
    const entry = work.stale
    if (entry === null) return
    const { meta } = entry
    const stored = headOf(meta.status, originFields(meta.status, entry.fields, meta.flags))
    const effect = headEffect(stored, meta.status, entry.bodyBytes, head, head.status)
    if (effect === 'freshen') this.#freshen(exchange, work, entry, head)
    else if (effect === 'invalidate') this.#route.store.remove(entry.key)
  }

  // --- an answer of its own -----------------------------------------------------------------------------------

  #take(exchange: Exchange, work: Work, head: Http1ResponseHead): ResponseSink | null {
    const { method } = exchange.head
    const judged = this.#judge(exchange, head, method)
    const fill = method === 'GET' ? this.#fillOf(exchange, work, head, judged) : null
    if (fill === null) work.why = cacheReasonText(judged.why, judged.whyNumber)
    const ended = fill === null ? `detail=${detailOf(judged, method)}` : 'stored'
    exchange.extraFields += `${this.#route.statusStart}fwd=${work.forward}; fwd-status=${head.status}; ${ended}\r\n`
    if (fill !== null && work.validates && hasItAlready(exchange, head))
      return this.#tell304(exchange, work, head, fill)
    const shown = judged.store ? this.#shownOf(head) : head
    const inner = exchange.background ? null : (this.#inner?.begin(exchange, shown) ?? null)
    if (fill === null && shown === head) return inner
    if (inner === null) exchange.sendHead(shown, shown.framing, null)
    return this.#tee(exchange, work, fill, inner, exchange.background)
  }

  #tee(
    exchange: Exchange,
    work: Work,
    fill: Fill | null,
    inner: ResponseSink | null,
    mute: boolean,
  ): TeeSink {
    return (work.tee = new TeeSink(exchange, fill, inner, mute))
  }

  /** As the rules want clients to see it. */
  #shownOf(head: Http1ResponseHead): Http1ResponseHead {
    const forClients = browserCacheControl(this.#route.spec, head, false)
    if (forClients === null) return head
    return head.copy(undefined, replacedByRule, `Cache-Control: ${forClients}\r\n`) ?? head
  }

  /** Its own conditions were taken out for ours, and would have been met. */
  #tell304(exchange: Exchange, work: Work, head: Http1ResponseHead, fill: Fill): ResponseSink {
    const lines = withoutNames(this.#shownOf(head), notIn304)
    exchange.status = 304
    exchange.sendHead(headOf(304, lines), framing.none, null)
    return this.#tee(exchange, work, fill, null, true)
  }

  #judge(
    exchange: Exchange,
    response: Fields & { status: number },
    method: string,
    rules: CacheRules = this.#route.spec,
  ): Judged {
    const { worker, attempts } = exchange
    const { spec } = this.#route
    return judgeStorage({
      method,
      request: toldRequest(exchange),
      // A part is as storable as the whole would be.
      status: response.status === 206 && method === 'GET' ? 200 : response.status,
      response,
      rules,
      key: spec.key,
      requestAtUs: attempts.primary?.sentAt ?? worker.now,
      responseAtUs: worker.now,
      wallSeconds: nowSeconds(exchange),
      readDate: parseHttpDate,
    })
  }

  /** What the answer goes into, begun. Null: nowhere; who waits for it has been told. */
  #fillOf(exchange: Exchange, work: Work, head: Http1ResponseHead, judged: Judged): Fill | null {
    const bodyBytes = bodyBytesOf(head)
    let led = work.fill
    work.fill = null
    if (led === null) return null
    if (work.key === partKey(work.baseKey)) {
      const isFit = judged.store && judged.vary.length === 0 && bodyBytes > -2 && isOwn(exchange, this.#route)
      if (isPart(head) && isFit) return this.#begun(exchange, led, head, judged, askedLine(exchange))
      // The origin sends the whole in spite of the range, or nothing that could be stored.
      const whole =
        head.status === 206 || head.status === 304 ? null : this.#route.store.lead(work.baseKey, led)
      led.alone(head.status === 206 ? unstoredUs : 0)
      if (whole === null) return null
      led = whole
    }
    const isWhole = bodyBytes > -2 && head.status !== 206 && !isEventStream(head)
    if (!judged.store || !isWhole || !isOwn(exchange, this.#route)) {
      if (work.stale !== null && head.status < 500) this.#route.store.remove(work.stale.key)
      // A client's own conditions say nothing of what others would get.
      if (head.status === 304) led.abort()
      else led.alone(judged.personal ? personalUs : unstoredUs)
      return null
    }
    const fill = this.#keyed(exchange, work, led, head, judged)
    if (fill === null) return null
    return this.#begun(exchange, fill, head, judged, '')
  }

  #begun(
    exchange: Exchange,
    fill: Fill,
    head: Http1ResponseHead,
    judged: Judged,
    hidden: string,
  ): Fill | null {
    const bodyBytes = bodyBytesOf(head)
    const made = storedFields(exchange, head, judged, this.#route.spec, bodyBytes, hidden)
    const meta = metaOf(judged, made)
    meta.status = head.status
    const tags = [...this.#route.tagsOf(exchange), ...originTags(head)]
    return fill.begin(meta, made.text, tags, bodyBytes) ? fill : null
  }

  /** The fill for the key that the answer's Vary makes of it; what was led may be another's. */
  #keyed(exchange: Exchange, work: Work, led: Fill, head: Http1ResponseHead, { vary }: Judged): Fill | null {
    const { store } = this.#route
    const { baseKey } = work
    const variant = vary.length === 0 ? '' : varyText(vary, toldRequest(exchange))
    const key = vary.length === 0 ? baseKey : keyWith(baseKey, `~${variant}`)
    const isSame = key === led.key
    const fill = isSame ? led : store.lead(key, led)
    if (vary.length > 0) this.#mark(baseKey, led, vary)
    const alias = aliasOf(vary, toldRequest(exchange), head)
    if (alias !== null && alias !== variant) this.#alias(keyWith(baseKey, `~${alias}`), led, key)
    if (!isSame && led.key !== baseKey) led.abort()
    else if (!isSame && vary.length === 0) led.abort()
    return fill
  }

  #alias(key: string, led: Fill, target: string): void {
    const { store, worker } = this.#route
    const before = store.get(key)
    const isAnswer = before !== null && (before.meta.flags & storedFlag.alias) === 0
    before?.release()
    const fill = isAnswer ? null : store.lead(key, led)
    if (fill === null) return
    const meta: StoredMeta = { ...markerMeta, receivedAtUs: worker.now, flags: storedFlag.alias }
    if (fill.begin(meta, target, [], 0)) fill.commit()
  }

  /** Under the key without variant stands by what its answers vary; `led` where it leads that. */
  #mark(baseKey: string, led: Fill, vary: readonly string[]): void {
    const { store, worker } = this.#route
    const names = vary.join(',')
    if (led.key !== baseKey) {
      const before = store.get(baseKey)
      const same = before !== null && before.fields === names
      before?.release()
      if (same) return
    }
    const mark = led.key === baseKey ? led : store.lead(baseKey, led)
    if (mark === null) return
    const meta: StoredMeta = { ...markerMeta, receivedAtUs: worker.now }
    if (mark.begin(meta, names, [], 0)) mark.commit()
  }
}

const nothingDropped = new Uint8Array(256)

const markerMeta: StoredMeta = {
  status: 0,
  receivedAtUs: 0,
  initialAgeUs: 0,
  freshForUs: markerUs,
  staleWhileRevalidateUs: 0,
  staleIfErrorUs: 0,
  flags: storedFlag.marker,
}

/** Without any rule of a route. */
const originAlone: CacheRules = { immutable: false, heuristics: false, stripCookies: false, refreshAhead: 0 }

function metaOf(judged: Judged, made: StoredFields): StoredMeta {
  const { status, receivedAtUs, initialAgeUs, freshForUs, staleWhileRevalidateUs, staleIfErrorUs } = judged
  return {
    status,
    receivedAtUs,
    initialAgeUs,
    freshForUs,
    staleWhileRevalidateUs,
    staleIfErrorUs,
    flags: judged.flags | made.flags,
  }
}

/** Of a freshened answer: its own, whatever a 304 says. */
function lengthOf({ bodyBytes, meta }: StoredEntry): number {
  return (meta.flags & storedFlag.noLength) === 0 ? bodyBytes : -1
}

function isEventStream(head: Http1ResponseHead): boolean {
  return /^text\/event-stream/i.test(head.value(fieldId['content-type']) ?? '')
}

/** What a canary or another part of a split answers is not for everybody. */
function isOwn({ group, route }: Exchange, { parent }: CachedRoute): boolean {
  return group === (route as CompiledRoute).group || group === parent
}

function detailOf(judged: Judged, method: string): string {
  if (!judged.store) return cacheReasonLabel(judged.why)
  return method === 'HEAD' ? 'head' : 'not-led'
}

function hasItAlready(exchange: Exchange, head: Http1ResponseHead): boolean {
  if (head.status !== 200 || !isConditional(exchange)) return false
  return verdictOn(exchange, validatorsOf(exchange, head)) === 'not-modified'
}

/** RFC 9111 4.4. */
export function forgetAfter(
  exchange: Exchange,
  head: Http1ResponseHead,
  store: WorkerStore,
  targetOf: (target: string) => string,
): void {
  const { method, authority } = exchange.head
  if (!invalidates(method, head.status)) return
  const host = hostPart(false, authority).replace(/:443$/, '')
  const targets = invalidatedTargets({ authority, target: exchange.target }, head)
  store.purge({ targets: targets.flatMap(one => [`${host}${one}`, `${host}${targetOf(one)}`]) })
}

/** On routes without a cache of their own: what another route has stored of the same target is forgotten. */
export class ForgetStep implements ResponseStep {
  readonly #store: WorkerStore
  readonly #inner: ResponseStep | null

  constructor(store: WorkerStore, inner: ResponseStep | null) {
    this.#store = store
    this.#inner = inner
  }

  begin(exchange: Exchange, head: Http1ResponseHead): ResponseSink | null {
    forgetAfter(exchange, head, this.#store, target => target)
    return this.#inner?.begin(exchange, head) ?? null
  }
}
