// Whom the router's change feeds tell: the edge processes of this state directory, found by their control sockets without a
// supervisor. What an edge may have missed it is told when it is found: what was forgotten since it began, or everything.

import { readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { FeedSinks, Invalidation } from '../database/feed/index.ts'
import type { FeedListeners } from '../database/router/snapshot.ts'
import type { Purge } from '../edge/store/contract.ts'
import { socketPath } from '../io/socket-path.ts'
import { connectEdge, type EdgeClient } from './edge-client.ts'
import { writePrivate } from './private-file.ts'
import { readJsonOrNull } from './role-process.ts'
import { SharedSinks } from './shared-sinks.ts'

/** A new edge process is found this late; until then it may serve what it kept on its disk. */
const lookEveryMs = 250
const answerTimeoutMs = 5_000
/** What was forgotten lately, for edges that began meanwhile. */
const recentMax = 200
const recentMsMax = 60_000
/** Clocks of one host; an edge says when it began before it reads what it kept. */
const slackMs = 1_000
/** Nonces of edges that have heard everything. */
const knownMax = 64

interface Recent {
  readonly atMs: number
  readonly what: Purge
}

/** Null: nothing that an edge could have. */
export function purgeOf({ everything, tags, urls }: Invalidation): Purge | null {
  if (everything) return { all: true }
  return tags.length === 0 && urls.length === 0 ? null : { tags, targets: urls }
}

export class EdgeSinks implements FeedSinks {
  readonly sinks: FeedSinks['sinks']
  readonly #directory: string
  readonly #file: string
  readonly #links = new Map<string, EdgeLink>()
  readonly #recent: Recent[] = []
  #recentSinceMs = Date.now()
  #known: readonly string[]
  readonly #timer: NodeJS.Timeout
  #closed = false

  constructor(stateDirectory: string) {
    this.#directory = resolve(stateDirectory)
    this.#file = join(this.#directory, 'router', 'feed-edges.json')
    this.#known = readJsonOrNull<{ known: string[] }>(this.#file)?.known ?? []
    this.sinks = [{ name: 'edges', sink: invalidation => this.#tell(invalidation) }]
    this.#look()
    this.#timer = setInterval(() => this.#look(), lookEveryMs)
  }

  get edges(): number {
    return this.#links.size
  }

  async #tell(invalidation: Invalidation): Promise<void> {
    const what = purgeOf(invalidation)
    if (what === null) return
    this.#remember(what)
    const told = await Promise.all([...this.#links.values()].map(link => link.purge(what)))
    if (!told.includes(true)) throw new Error('no edge answers')
  }

  #remember(what: Purge): void {
    const now = Date.now()
    this.#recent.push({ atMs: now, what })
    while (this.#recent.length > recentMax || (this.#recent[0]?.atMs ?? now) < now - recentMsMax)
      this.#recentSinceMs = (this.#recent.shift() as Recent).atMs + 1
  }

  /** All sockets that an edge of this state directory may listen on. */
  #look(): void {
    if (this.#closed) return
    const folder = dirname(socketPath(this.#directory, 'edge'))
    for (const name of readdirSync(folder)) {
      if (!/^edge(-[0-9a-f]{8})?\.sock$/.test(name)) continue
      const path = join(folder, name)
      if (!this.#links.has(path)) this.#links.set(path, this.#link(path))
    }
  }

  #link(path: string): EdgeLink {
    const link: EdgeLink = new EdgeLink(path, {
      since: startedAtMs => this.#since(startedAtMs),
      isKnown: nonce => this.#known.includes(nonce),
      heard: nonce => this.#keep([nonce, ...this.#known.filter(one => one !== nonce)]),
      /** It may have missed something, or is gone. */
      lost: nonce => {
        this.#links.delete(path)
        if (nonce !== '' && this.#known.includes(nonce) && !this.#closed)
          this.#keep(this.#known.filter(one => one !== nonce))
      },
    })
    return link
  }

  /** What an edge that began then may have missed. */
  #since(startedAtMs: number): readonly Purge[] {
    if (startedAtMs - slackMs < this.#recentSinceMs) return [{ all: true }]
    return this.#recent.filter(({ atMs }) => atMs >= startedAtMs - slackMs).map(({ what }) => what)
  }

  #keep(known: readonly string[]): void {
    this.#known = known.slice(0, knownMax)
    writePrivate(this.#file, `${JSON.stringify({ known: this.#known })}\n`)
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    for (const link of this.#links.values()) link.close()
  }
}

interface EdgeLinkUser {
  since(startedAtMs: number): readonly Purge[]
  isKnown(nonce: string): boolean
  heard(nonce: string): void
  lost(nonce: string): void
}

/** One edge process: connecting -> told what it missed -> listening -> lost. */
class EdgeLink {
  readonly #user: EdgeLinkUser
  readonly #ready: Promise<EdgeClient | null>
  #client: EdgeClient | null = null
  #nonce = ''
  #lost = false

  constructor(path: string, user: EdgeLinkUser) {
    this.#user = user
    this.#ready = this.#open(path).catch(() => {
      this.close()
      return null
    })
  }

  async #open(path: string): Promise<EdgeClient> {
    const client = await connectEdge(path, { onEvent: () => {}, onEnd: () => this.close() })
    this.#client = client
    const { nonce, startedAt } = await client.call('status', {}, answerTimeoutMs)
    this.#nonce = nonce
    // Those that are told from now on wait for this link.
    if (!this.#user.isKnown(nonce)) {
      for (const what of this.#user.since(startedAt)) await client.call('purge', { what }, answerTimeoutMs)
      this.#user.heard(nonce)
    }
    return client
  }

  /** False: it is not there, or does not answer; when it is found again it is told what it missed. */
  async purge(what: Purge): Promise<boolean> {
    const client = await this.#ready
    if (client === null) return false
    try {
      await client.call('purge', { what }, answerTimeoutMs)
      return true
    } catch {
      this.close()
      return false
    }
  }

  close(): void {
    if (this.#lost) return
    this.#lost = true
    this.#client?.close()
    this.#user.lost(this.#nonce)
  }
}

/** For `tenfold run router`: shared tiers, then edges. */
export function feedSinksOf(stateDirectory: string): (listeners: FeedListeners) => FeedSinks {
  return ({ edges, shared }) => {
    const all: readonly FeedSinks[] = [
      new SharedSinks(shared),
      ...(edges ? [new EdgeSinks(stateDirectory)] : []),
    ]
    return {
      sinks: all.flatMap(one => one.sinks),
      close: () => {
        for (const one of all) one.close()
      },
    }
  }
}
