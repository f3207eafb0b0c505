// Purges on their way to everybody who keeps answers: the edge's processes here, and the peers. Owns what a peer that did
// not answer is told when it answers again. Nothing is ever remembered as done that was not.

import type { Purge } from '../edge/store/contract.ts'
import { Failure } from '../kit/failure.ts'
import type { Peer } from './compile-caches.ts'
import type { CachePeerView, PurgedEdgeView, PurgeView, PurgeWish } from './control/cache-views.ts'
import { controlClient } from './control/client.ts'
import type { EdgeProcess } from './edge-process.ts'
import { systemFailures } from './failures.ts'
import { purgeOf, purgeText } from './purge-wish.ts'

export interface PurgesOptions {
  /** Throws SYSTEM_BUSY while it is not there. */
  edge(): Pick<EdgeProcess, 'purge'>
  /** Of the system that runs now. */
  peers(): readonly Peer[]
  /** Does a route keep anything? */
  enabled(): boolean
  tell(kind: 'decision' | 'warning', subject: string, text: string): void
}

/** A bound on liveness; it takes milliseconds. */
const peerTimeoutMs = 5_000
const retryMs = 2_000
/** A peer that missed more than this forgets everything when it answers again. */
const missedMax = 1_000

interface Missed {
  wishes: PurgeWish[]
  why: string
  timer: NodeJS.Timeout | null
}

export class Purges {
  readonly #options: PurgesOptions
  /** By URL: peers that did not answer. */
  readonly #missed = new Map<string, Missed>()
  #closed = false

  constructor(options: PurgesOptions) {
    this.#options = options
  }

  /** Throws SYSTEM_CACHE_UNASKED, SYSTEM_REQUEST_INVALID. */
  async purge(wish: PurgeWish, peers: boolean): Promise<PurgeView> {
    if (!this.#options.enabled()) throw cacheUnasked()
    const what = purgeOf(wish)
    const others = peers ? this.#options.peers() : []
    let edges = await this.#everywhere(what, wish, others)
    // An edge that forgot first may have asked its parent before that had forgotten.
    if (others.length > 0 && edges.every(edge => edge.done))
      edges = await this.#everywhere(what, wish, others)
    const failed = edges.filter(edge => !edge.done)
    const text =
      failed.length === 0
        ? `purged ${purgeText(what)} in ${edges.length} edge${edges.length === 1 ? '' : 's'}`
        : `${purgeText(what)} is not purged everywhere: ${failed.map(one => `${one.edge} (${one.why})`).join('; ')}`
    this.#options.tell(failed.length === 0 ? 'decision' : 'warning', 'cache', text)
    return { text, complete: failed.length === 0, edges }
  }

  async #everywhere(what: Purge, wish: PurgeWish, others: readonly Peer[]): Promise<PurgedEdgeView[]> {
    const [own, elsewhere] = await Promise.all([
      this.#here(what),
      Promise.all(others.map(peer => this.#there(peer, wish))),
    ])
    return [...own, ...elsewhere]
  }

  /** How peers are. */
  get peers(): CachePeerView[] {
    return this.#options.peers().map(({ url }) => {
      const missed = this.#missed.get(url)
      return { url, waiting: missed?.wishes.length ?? 0, why: missed?.why ?? '' }
    })
  }

  close(): void {
    this.#closed = true
    for (const { timer } of this.#missed.values()) clearTimeout(timer ?? undefined)
  }

  async #here(what: Purge): Promise<PurgedEdgeView[]> {
    const outcomes = await this.#options.edge().purge(what)
    return outcomes.map(({ pid, failure }) => ({
      edge: `edge process ${pid}`,
      done: failure === null,
      why: failure ?? '',
    }))
  }

  async #there(peer: Peer, wish: PurgeWish): Promise<PurgedEdgeView> {
    const { url } = peer
    // In order: what it missed goes first.
    if (this.#missed.has(url)) await this.#tellMissed(url)
    const waiting = this.#missed.get(url)
    const why = waiting === undefined ? await told(peer, wish) : waiting.why
    if (why !== '') this.#remember(url, wish, why)
    return { edge: url, done: why === '', why: why === '' ? '' : `${why}; told when it answers again` }
  }

  #remember(url: string, wish: PurgeWish, why: string): void {
    const missed = this.#missed.get(url) ?? { wishes: [], why, timer: null }
    missed.why = why
    missed.wishes.push(wish)
    if (missed.wishes.length > missedMax) missed.wishes = [{ all: true }]
    this.#missed.set(url, missed)
    this.#schedule(url, missed)
  }

  #schedule(url: string, missed: Missed): void {
    if (this.#closed || missed.timer !== null) return
    missed.timer = setTimeout(() => {
      missed.timer = null
      void this.#tellMissed(url).then(() => {
        const left = this.#missed.get(url)
        if (left !== undefined) this.#schedule(url, left)
      })
    }, retryMs)
    missed.timer.unref()
  }

  /** Whoever has it for a parent may have fetched from it meanwhile what it had not forgotten. */
  async #again(wishes: readonly PurgeWish[], url: string): Promise<void> {
    const others = this.#options.peers().filter(one => one.url !== url && !this.#missed.has(one.url))
    for (const wish of wishes) {
      await this.#here(purgeOf(wish)).catch(() => [])
      await Promise.all(others.map(peer => this.#there(peer, wish)))
    }
  }

  /** A peer that the file no longer names is forgotten. */
  async #tellMissed(url: string): Promise<void> {
    const missed = this.#missed.get(url)
    const peer = this.#options.peers().find(one => one.url === url)
    if (missed === undefined) return
    const late: PurgeWish[] = []
    while (peer !== undefined && missed.wishes.length > 0) {
      const [wish] = missed.wishes as [PurgeWish]
      missed.why = await told(peer, wish)
      if (missed.why !== '') break
      late.push(wish)
      // The list may have become shorter meanwhile: everything is one wish.
      if (missed.wishes[0] === wish) missed.wishes.shift()
    }
    if (peer === undefined || missed.wishes.length === 0) {
      clearTimeout(missed.timer ?? undefined)
      if (this.#missed.get(url) === missed) this.#missed.delete(url)
    }
    if (late.length > 0) {
      this.#options.tell('decision', 'cache', `${url} was told what it had missed`)
      await this.#again(late, url)
    }
  }
}

/** Why the peer did not; ''. It tells nobody else: peers that name each other would never end. */
async function told({ url, token }: Peer, wish: PurgeWish): Promise<string> {
  try {
    const view = await controlClient({ url, token }).caches.purge(wish, {
      peers: false,
      timeoutMs: peerTimeoutMs,
    })
    return view.complete ? '' : view.text
  } catch (cause) {
    // Without a cache it has nothing to forget.
    if (cause instanceof Failure && cause.code === systemFailures.cacheUnasked.code) return ''
    return (cause as Error).message
  }
}

export function cacheUnasked(): Failure {
  return new Failure(systemFailures.cacheUnasked, "No route of the running file has 'cache'.")
}
