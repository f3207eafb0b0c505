// Looks each request of a cached route up: answered from what is stored, or waiting for the answer to another request, or
// on its way to an instance with what the cache wants of it (work.ts). A hit makes no promise and no object of its own.

import {
  Ask,
  CacheReason,
  conditionalFields,
  conditionNames,
  judgeReuse,
  type RequestDirectives,
  Reuse,
  requestDirectives,
  reuseReason,
  varyText,
} from '../../policy/freshness/index.ts'
import { fieldId } from '../../wire/fields.ts'
import { framing } from '../../wire/http1/index.ts'
import type { Exchange } from '../exchange.ts'
import { cacheResult } from '../exchange-record.ts'
import { clientFailures } from '../failures.ts'
import { type Gate, gateAnswer } from '../gate.ts'
import type { StoredEntry, WaitEnd } from '../store/contract.ts'
import { validateBehind } from './background.ts'
import { type CachedRoute, keyWith } from './cached-route.ts'
import { aliasFor, isInLikedLanguage } from './languages.ts'
import { answerPart, asksForPart, partKey } from './partials.ts'
import { addEdits } from './request-edits.ts'
import { answerStored } from './stored-answer.ts'
import { headOf, originFields, shownOf, storedFlag } from './stored-fields.ts'
import { ttlText } from './told.ts'
import { toldRequest } from './told-request.ts'
import { Posting, Waiting, Work } from './work.ts'

/** Of entries that are no answers. */
const ownFlags = storedFlag.marker | storedFlag.alias

export class CacheGate implements Gate {
  readonly name = 'cache'
  readonly #route: CachedRoute

  constructor(route: CachedRoute) {
    this.#route = route
  }

  enter(exchange: Exchange): number {
    const { head } = exchange
    const isGet = head.method === 'GET'
    if (head.method === 'POST') exchange.cache = new Posting(this.#route.store.purgesBegun)
    if (!isGet && head.method !== 'HEAD') return this.#pass(exchange, 'fwd=method')
    // A body is not part of the key, and origins may answer by it.
    if (head.framing !== framing.none || head.connectionUpgrade || this.#route.goesPast(exchange))
      return this.#pass(exchange, 'fwd=bypass')
    // RFC 9110 13.1.1: not for caches.
    if (head.firstOf(fieldId['if-match']) >= 0 || head.firstOf(fieldId['if-unmodified-since']) >= 0)
      return this.#pass(exchange, 'fwd=bypass')
    const key = this.#route.keyOf(exchange)
    if (key === null) return this.#pass(exchange, 'fwd=bypass')
    return this.lookUp(exchange, key, 0)
  }

  #pass(exchange: Exchange, said: string): number {
    exchange.cacheResult = cacheResult.bypass
    exchange.extraFields += `${this.#route.statusStart}${said}\r\n`
    return gateAnswer.pass
  }

  /** `until`: when it has waited long enough; 0: it has not waited yet. */
  lookUp(exchange: Exchange, baseKey: string, until: number): number {
    return this.#get(exchange, baseKey, baseKey, until)
  }

  #get(exchange: Exchange, baseKey: string, key: string, until: number): number {
    const { store } = this.#route
    const entry = store.get(key)
    if (entry !== null) return this.#got(exchange, baseKey, key, until, entry)
    const { serial } = exchange
    const loads = store.load(key, loaded => {
      if (serial !== exchange.serial || exchange.client === null) {
        loaded?.release()
        return
      }
      exchange.worker.refresh()
      const answer =
        loaded === null
          ? this.#miss(exchange, baseKey, key, until)
          : this.#got(exchange, baseKey, key, until, loaded)
      this.#resume(exchange, serial, answer)
    })
    return loads ? gateAnswer.pending : this.#miss(exchange, baseKey, key, until)
  }

  #resume(exchange: Exchange, serial: number, answer: number): void {
    if (answer === gateAnswer.pass || answer === gateAnswer.refuse) exchange.resumeGate(serial, answer)
  }

  #got(exchange: Exchange, baseKey: string, key: string, until: number, entry: StoredEntry): number {
    if ((entry.meta.flags & storedFlag.alias) !== 0) {
      entry.release()
      return this.#miss(exchange, baseKey, key, until)
    }
    if ((entry.meta.flags & storedFlag.marker) === 0) return this.#found(exchange, baseKey, key, until, entry)
    const names = this.#route.namesOf(entry.fields)
    entry.release()
    const variant = varyText(names, toldRequest(exchange))
    if (variant === null) return this.#pass(exchange, 'fwd=vary-miss')
    const own = keyWith(baseKey, `~${variant}`)
    const other = this.#elsewhere(exchange, baseKey, own, names)
    if (other !== null) return this.#found(exchange, baseKey, other.key, until, other)
    return this.#get(exchange, baseKey, own, until)
  }

  /** A variant that was stored for other words for the same language; null where there is one for these. */
  #elsewhere(exchange: Exchange, baseKey: string, own: string, names: readonly string[]): StoredEntry | null {
    const alias = aliasFor(names, toldRequest(exchange))
    if (alias === null) return null
    const { store } = this.#route
    const same = store.get(own)
    if (same !== null && (same.meta.flags & storedFlag.alias) === 0) {
      same.release()
      return null
    }
    const found = same ?? store.get(keyWith(baseKey, `~${alias}`))
    if (found === null) return null
    const target = (found.meta.flags & storedFlag.alias) === 0 ? found : store.get(found.fields)
    if (target !== found) found.release()
    if (target === null) return null
    const { meta, fields } = target
    const isAnswer = (meta.flags & ownFlags) === 0
    if (
      isAnswer &&
      isInLikedLanguage(toldRequest(exchange), headOf(meta.status, shownOf(fields, meta.flags)))
    )
      return target
    target.release()
    return null
  }

  // --- something is stored ------------------------------------------------------------------------------------

  #found(exchange: Exchange, baseKey: string, key: string, until: number, entry: StoredEntry): number {
    const route = this.#route
    const { now, random } = exchange.worker
    const { refreshAhead } = route.spec
    const asked = requestDirectives(exchange.head, route.spec)
    const drawn = refreshAhead > 0 ? random.float() : 0
    switch (judgeReuse(entry.meta, now, asked, entry.purgedSoftly, refreshAhead, drawn)) {
      case Reuse.fresh:
        return this.#hit(exchange, entry, until)
      case Reuse.freshRefresh:
        validateBehind(exchange, route, baseKey, key)
        return this.#hit(exchange, entry, until)
      case Reuse.staleRevalidate:
        validateBehind(exchange, route, baseKey, key)
        return this.#stale(exchange, entry, 'stale-while-revalidate')
      case Reuse.staleAllowed:
        return this.#stale(exchange, entry, 'max-stale')
      case Reuse.gatewayTimeout:
        entry.release()
        return this.#nothing(exchange)
      default:
        return this.#validate(exchange, baseKey, key, until, entry, asked)
    }
  }

  #hit(exchange: Exchange, entry: StoredEntry, until: number): number {
    const { meta } = entry
    const waited = until !== 0
    exchange.cacheResult = waited ? cacheResult.collapsed : cacheResult.hit
    const ttl = ttlText(meta, exchange.worker.now)
    const said = waited ? `fwd=uri-miss; ttl=${ttl}; collapsed` : `hit; ttl=${ttl}`
    answerStored(exchange, this.#route, entry, meta, entry.fields, said)
    return gateAnswer.taken
  }

  #stale(exchange: Exchange, entry: StoredEntry, detail: string): number {
    exchange.cacheResult = cacheResult.stale
    const said = `hit; ttl=${ttlText(entry.meta, exchange.worker.now)}; detail=${detail}`
    answerStored(exchange, this.#route, entry, entry.meta, entry.fields, said)
    return gateAnswer.taken
  }

  /** RFC 9111 5.2.1.7. */
  #nothing(exchange: Exchange): number {
    exchange.cacheResult = cacheResult.miss
    exchange.extraFields += `${this.#route.statusStart}detail=only-if-cached\r\n`
    exchange.refusal = clientFailures.notStored
    return gateAnswer.refuse
  }

  #validate(
    exchange: Exchange,
    baseKey: string,
    key: string,
    until: number,
    entry: StoredEntry,
    asked: RequestDirectives,
  ): number {
    const { store } = this.#route
    if (exchange.head.method === 'HEAD') {
      this.#goOn(exchange, new Work(this.#route, baseKey, key, null, entry, asked, 'stale'))
      return gateAnswer.pass
    }
    const fill = store.lead(key)
    const why = reuseReason(entry.meta, exchange.worker.now, asked, entry.purgedSoftly)
    // What the client wants of its own request is not had from the answer to another one.
    const isOwnWish = why >= CacheReason.clientNoCache && why <= CacheReason.clientOnlyIfCached
    if (fill === null && !isOwnWish && this.#mayWait(exchange, key, until))
      return this.#wait(exchange, baseKey, key, until, entry)
    const work = new Work(this.#route, baseKey, key, fill, entry, asked, isOwnWish ? 'request' : 'stale')
    const lines = originFields(entry.meta.status, entry.fields, entry.meta.flags)
    const conditions = conditionalFields(headOf(entry.meta.status, lines))
    if (conditions !== '') {
      work.validates = true
      addEdits(exchange, conditionNames, conditions)
    }
    this.#goOn(exchange, work)
    return gateAnswer.pass
  }

  // --- nothing is stored --------------------------------------------------------------------------------------

  #miss(exchange: Exchange, baseKey: string, key: string, until: number): number {
    const { head } = exchange
    const { store, spec } = this.#route
    const asked = requestDirectives(head, spec)
    if ((asked.flags & Ask.onlyIfCached) !== 0) return this.#nothing(exchange)
    const forward = key === baseKey ? 'uri-miss' : 'vary-miss'
    // The answer to a HEAD, or to a part, is not what others would wait for.
    const mayStore = head.method === 'GET' && (asked.flags & Ask.noStore) === 0
    if (mayStore && asksForPart(exchange)) return this.#part(exchange, baseKey, asked)
    const wanted = mayStore && head.firstOf(fieldId.range) < 0
    const fill = wanted ? store.lead(key) : null
    if (wanted && fill === null && this.#mayWait(exchange, key, until))
      return this.#wait(exchange, baseKey, key, until, null)
    this.#goOn(exchange, new Work(this.#route, baseKey, key, fill, null, asked, forward))
    return gateAnswer.pass
  }

  /** The whole is not stored: maybe a part is. Nobody waits for a part. */
  #part(exchange: Exchange, baseKey: string, asked: RequestDirectives): number {
    const { store, spec } = this.#route
    const key = partKey(baseKey)
    const entry = store.get(key)
    if (entry !== null) {
      const { meta, purgedSoftly } = entry
      const code = judgeReuse(meta, exchange.worker.now, asked, purgedSoftly, 0, 0)
      if (code !== Reuse.fresh || !entry.ended(entry.bodyBytes)) entry.release()
      else if (answerPart(exchange, this.#route, entry)) {
        exchange.cacheResult = cacheResult.hit
        return gateAnswer.taken
      }
    }
    const fill = spec.collapseMs === 0 || !store.isAlone(key) ? store.lead(key) : null
    this.#goOn(exchange, new Work(this.#route, baseKey, key, fill, null, asked, 'uri-miss'))
    return gateAnswer.pass
  }

  #goOn(exchange: Exchange, work: Work): void {
    exchange.cacheResult = cacheResult.miss
    exchange.cache = work
    addEdits(exchange, this.#route.unkeyed, this.#route.capability)
  }

  // --- waiting for the answer to another request --------------------------------------------------------------

  #mayWait(exchange: Exchange, key: string, until: number): boolean {
    const { store, spec } = this.#route
    if (spec.collapseMs === 0 || store.isAlone(key)) return false
    return until === 0 || exchange.worker.now < until
  }

  #wait(exchange: Exchange, baseKey: string, key: string, until: number, stale: StoredEntry | null): number {
    const { worker, serial } = exchange
    const end = until === 0 ? worker.now + this.#route.spec.collapseMs * 1000 : until
    const waiting = new Waiting(stale)
    exchange.cache = waiting
    waiting.wait = this.#route.store.wait(key, end - worker.now, how => {
      if (serial !== exchange.serial || exchange.cache !== waiting) return
      worker.refresh()
      waiting.wait = null
      exchange.cache = null
      this.#resume(exchange, serial, this.#waited(exchange, baseKey, key, end, waiting, how))
    })
    return gateAnswer.pending
  }

  #waited(
    exchange: Exchange,
    baseKey: string,
    key: string,
    until: number,
    waiting: Waiting,
    how: WaitEnd,
  ): number {
    const { stale } = waiting
    waiting.stale = null
    if (how === 'failed' && stale !== null && this.#servesOnError(exchange, stale)) return gateAnswer.taken
    stale?.release()
    if (how === 'stored' || how === 'failed') return this.lookUp(exchange, baseKey, until)
    const asked = requestDirectives(exchange.head, this.#route.spec)
    // What came of it is not for others: each asks for itself, and what comes of that may be stored all the same.
    const fill = how === 'alone' ? this.#route.store.lead(key) : null
    this.#goOn(exchange, new Work(this.#route, baseKey, key, fill, null, asked, 'uri-miss'))
    return gateAnswer.pass
  }

  #servesOnError(exchange: Exchange, entry: StoredEntry): boolean {
    const asked = requestDirectives(exchange.head, this.#route.spec)
    const work = new Work(this.#route, entry.key, entry.key, null, entry, asked, 'stale')
    if (!work.mayServeStale(exchange, 0)) return false
    work.serveStale(exchange, 0)
    return true
  }
}
