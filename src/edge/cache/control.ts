// What operators ask of the cache of a worker: what is stored for a URL, and that something is stored ahead of the first
// request, fetched from the origin or given as a file.

import { readPieces } from '../../io/durable-files.ts'
import {
  ageUs,
  cacheReasonText,
  requestDirectives,
  reuseReason,
  varyText,
} from '../../policy/freshness/index.ts'
import type { ResponseHead } from '../../wire/head.ts'
import type { CompiledRoute } from '../compile.ts'
import type { WorkerContext } from '../context.ts'
import type { CacheLook, PushRequest, PushResult } from '../control-protocol.ts'
import { NoClient } from '../no-client.ts'
import type { StoredEntry, StoredMeta, WorkerStore } from '../store/contract.ts'
import { beginOwn } from './background.ts'
import { type CachedRoute, keyWith } from './cached-route.ts'
import type { Caches } from './index.ts'
import { shownOf, storedFlag } from './stored-fields.ts'
import { toldRequest } from './told-request.ts'
import { ourselves, requestOf, type UrlRequest, withUnbegun } from './url-request.ts'
import { Work } from './work.ts'

type Refused = { readonly refused: string }

interface Target {
  readonly compiled: CompiledRoute
  readonly cached: CachedRoute
  readonly key: string
  readonly request: UrlRequest
}

const pushWaitUs = 30_000_000
const typeForm = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+(?:\s*;[\x20-\x7e]*)?$/

export class CacheControl {
  readonly #worker: WorkerContext
  readonly #caches: Caches

  constructor(worker: WorkerContext, caches: Caches) {
    this.#worker = worker
    this.#caches = caches
  }

  #targetOf(url: string): Target | string {
    const request = requestOf(url)
    if (request === null) return `'${url}' is not an absolute http or https URL.`
    const found = withUnbegun(this.#worker, request, (exchange, compiled) => {
      const cached = this.#caches.of(compiled.spec)
      return { compiled, cached, key: cached?.keyOf(exchange) ?? null, request }
    })
    if (found === null) return `No route takes ${url}.`
    const { cached, key, compiled } = found
    if (cached === null) return `Route ${compiled.spec.id}, which takes ${url}, has no cache.`
    return key === null ? `${url} is too long to be stored.` : { compiled, cached, key, request }
  }

  // --- look ---------------------------------------------------------------------------------------------------

  look(url: string): Promise<CacheLook> {
    this.#worker.refresh()
    const target = this.#targetOf(url)
    if (typeof target === 'string')
      return Promise.resolve({ url, route: null, key: '', why: target, entry: null })
    const { cached, key, compiled } = target
    return this.#entryOf(target).then(entry => {
      const found = entry === null ? null : this.#shown(entry, cached)
      entry?.release()
      const why = found?.why ?? 'nothing is stored under this key'
      return { url, route: compiled.spec.id, key, why, entry: found?.entry ?? null }
    })
  }

  async #entryOf({ cached, key, request }: Target): Promise<StoredEntry | null> {
    const { store } = cached
    const entry = await entryUnder(store, key)
    if (entry === null || (entry.meta.flags & storedFlag.marker) === 0) return entry
    const names = cached.namesOf(entry.fields)
    entry.release()
    const variant = withUnbegun(this.#worker, request, exchange => varyText(names, toldRequest(exchange)))
    return variant === null ? null : entryUnder(store, keyWith(key, `~${variant}`))
  }

  #shown(entry: StoredEntry, { spec }: CachedRoute): { why: string; entry: CacheLook['entry'] } {
    const { meta } = entry
    const { now } = this.#worker
    const age = ageUs(meta, now)
    const asked = requestDirectives({ find: () => undefined }, spec)
    const isFresh = age < meta.freshForUs && !entry.purgedSoftly
    return {
      why: cacheReasonText(reuseReason(meta, now, asked, entry.purgedSoftly)),
      entry: {
        status: meta.status,
        state: entry.bodyBytes < 0 || !entry.ended(entry.bodyBytes) ? 'filling' : isFresh ? 'fresh' : 'stale',
        ageMs: Math.round(age / 1000),
        freshForMs: Math.round((meta.freshForUs - age) / 1000),
        bodyBytes: entry.bodyBytes,
        fields: shownOf(entry.fields, meta.flags),
      },
    }
  }

  // --- push ---------------------------------------------------------------------------------------------------

  async push({ url, from }: PushRequest): Promise<PushResult | Refused> {
    this.#worker.refresh()
    const target = this.#targetOf(url)
    if (typeof target === 'string') return { refused: target }
    if (from === 'origin') return this.#fromOrigin(target)
    if (!typeForm.test(from.contentType)) return { refused: `'${from.contentType}' is not a media type.` }
    return this.#fromFile(target, from)
  }

  async #fromOrigin(target: Target): Promise<PushResult> {
    const { cached, key, compiled, request } = target
    const worker = this.#worker
    const fill = cached.store.lead(key)
    if (fill === null) {
      await new Promise(resolve => cached.store.wait(key, pushWaitUs, resolve))
      return this.#resultOf(target, 0, 'another request that asked for it did not store it')
    }
    const asked = requestDirectives({ find: () => undefined }, cached.spec)
    const work = new Work(cached, key, key, fill, null, asked, 'uri-miss')
    const status = await new Promise<number>(resolve => {
      const client = new PushClient(worker, resolve)
      const edits = { drop: cached.unkeyed, add: cached.capability }
      const copy = { ...request, bodyText: '', idSuffix: worker.ids.next(), edits }
      if (!beginOwn(work, compiled, client, request.text, copy)) {
        work.over()
        resolve(0)
      }
    })
    return this.#resultOf(target, status, work.why === '' ? 'the origin did not answer' : work.why)
  }

  async #resultOf(target: Target, status: number, whyNot: string): Promise<PushResult> {
    const entry = await this.#entryOf(target)
    if (entry === null) return { stored: false, status, bytes: 0, why: whyNot }
    target.cached.store.keep(entry.key)
    const result = { stored: true, status: entry.meta.status, bytes: entry.bodyBytes, why: '' }
    entry.release()
    return result
  }

  async #fromFile(
    target: Target,
    { file, contentType, ttlMs, tags }: Exclude<PushRequest['from'], 'origin'>,
  ): Promise<PushResult> {
    const { cached, key } = target
    const fill = cached.store.lead(key)
    if (fill === null) return { stored: false, status: 200, bytes: 0, why: 'a request is fetching it now' }
    const meta = pushedMeta(this.#worker.now, ttlMs)
    const fields = `Content-Type: ${contentType}\r\nCache-Control: max-age=${Math.floor(ttlMs / 1000)}\r\n${this.#worker.dateText}`
    let fits = fill.begin(meta, fields, [...tags, ...cached.spec.tags], -1)
    try {
      for await (const piece of readPieces(file)) {
        if (!fits) break
        fits = fill.write(piece, 0, piece.length)
      }
    } catch (error) {
      fill.abort()
      const why = `${file} can't be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`
      return { stored: false, status: 200, bytes: 0, why }
    }
    if (fits) fill.commit()
    return this.#resultOf(target, 200, 'it is too large, or there is no room')
  }
}

function pushedMeta(now: number, ttlMs: number): StoredMeta {
  return {
    status: 200,
    receivedAtUs: now,
    initialAgeUs: 0,
    freshForUs: ttlMs * 1000,
    staleWhileRevalidateUs: 0,
    staleIfErrorUs: 0,
    flags: storedFlag.noLength,
  }
}

/** From memory or from the disk. */
function entryUnder(store: WorkerStore, key: string): Promise<StoredEntry | null> {
  return new Promise(resolve => {
    const entry = store.get(key)
    if (entry !== null || !store.load(key, resolve)) resolve(entry)
  })
}

class PushClient extends NoClient {
  #status = 0

  constructor(worker: WorkerContext, done: (status: number) => void) {
    super(worker, ourselves(worker), () => done(this.#status))
  }

  override beginResponse(head?: ResponseHead): void {
    this.#status = head?.status ?? 0
  }
  override beginOwnResponse(status?: number): void {
    this.#status = status ?? 0
  }
}
