// Looks at every server of a database, one after the other and all beside each other: what each showed last. A look that
// this very process was too late for says nothing. Decides nothing.

import { firstAnswer } from '../../io/first-answer.ts'
import type { Clock } from '../../kit/clock.ts'
import type { SeenServer } from '../../policy/index.ts'
import type { DatabaseServers, FoundServer, ServerObservation } from '../servers/contract.ts'
import { lookEveryMs } from './settings.ts'

export interface LooksOptions {
  readonly servers: DatabaseServers
  readonly clock: Clock
  /** For one look; asked at each. */
  readonly timeoutMs: () => number
  /** The primary is being changed: nothing is taken for granted about positions. */
  readonly careful: () => boolean
  /** Tests have servers without ports. */
  readonly knock?: ((host: string, port: number, timeoutMs: number) => Promise<boolean>) | undefined
  /** A look ended. */
  readonly looked: () => void
}

interface Watched {
  disk: SeenServer['disk']
  busy: boolean
  seen: SeenServer | null
  last: ServerObservation | null
  looking: boolean
  again: boolean
  /** When somebody new was let in last; microseconds. */
  knockedUs: number
  timer: NodeJS.Timeout | null
}

const beatMs = 20
/** The event loop was kept for longer: an answer may have been there in time. */
const stallMs = 200

export class Looks {
  readonly #options: LooksOptions
  readonly #servers = new Map<string, Watched>()
  readonly #beat: NodeJS.Timeout
  #lastBeatUs: number
  #stalledUs = Number.NEGATIVE_INFINITY
  #ended = false

  constructor(options: LooksOptions) {
    this.#options = options
    this.#lastBeatUs = options.clock.monotonic()
    this.#beat = setInterval(() => this.#beats(), beatMs)
  }

  #beats(): void {
    const now = this.#options.clock.monotonic()
    if (now - this.#lastBeatUs > stallMs * 1_000) this.#stalledUs = now
    this.#lastBeatUs = now
  }

  add({ id, disk }: Pick<FoundServer, 'id' | 'disk'>): void {
    if (this.#servers.has(id)) return
    const watched = {
      disk,
      busy: false,
      seen: null,
      last: null,
      looking: false,
      again: false,
      knockedUs: Number.NEGATIVE_INFINITY,
      timer: null,
    }
    this.#servers.set(id, watched)
    this.lookNow(id)
  }

  remove(id: string): void {
    const watched = this.#servers.get(id)
    if (watched?.timer) clearTimeout(watched.timer)
    this.#servers.delete(id)
  }

  end(): void {
    this.#ended = true
    clearInterval(this.#beat)
    for (const id of [...this.#servers.keys()]) this.remove(id)
  }

  /** What each showed last; those that were never looked at are not there. */
  get seen(): readonly SeenServer[] {
    return [...this.#servers.values()].flatMap(({ seen, disk, busy }) =>
      seen === null ? [] : [{ ...seen, disk, busy }],
    )
  }

  observation(id: string): ServerObservation | null {
    return this.#servers.get(id)?.last ?? null
  }

  busy(id: string): boolean {
    return this.#servers.get(id)?.busy ?? false
  }

  setBusy(id: string, busy: boolean): void {
    const watched = this.#servers.get(id)
    if (watched !== undefined) watched.busy = busy
  }

  setDisk(id: string, disk: SeenServer['disk']): void {
    const watched = this.#servers.get(id)
    if (watched !== undefined) watched.disk = disk
  }

  /** What was seen of it is void: something was done to it. */
  forget(id: string): void {
    const watched = this.#servers.get(id)
    if (watched === undefined) return
    watched.seen = null
    this.lookNow(id)
  }

  lookAllNow(): void {
    for (const id of this.#servers.keys()) this.lookNow(id)
  }

  lookNow(id: string): void {
    const watched = this.#servers.get(id)
    if (watched === undefined || this.#ended) return
    if (watched.looking) {
      watched.again = true
      return
    }
    if (watched.timer) clearTimeout(watched.timer)
    watched.timer = null
    watched.looking = true
    void this.#look(id, watched)
  }

  async #look(id: string, watched: Watched): Promise<void> {
    const beganUs = this.#options.clock.monotonic()
    const epoch = watched.seen
    try {
      const settled = await this.#settled(id, watched)
      const [observed, opens] = await Promise.all([
        this.#options.servers.observe(id, this.#options.timeoutMs()),
        this.#opens(id, watched, beganUs),
      ])
      const found = opens || !observed.answers ? observed : { ...observed, answers: false, problem: shut }
      // Forgotten meanwhile, or void: as if it had not been.
      const forgotten = epoch !== null && watched.seen === null
      if (!forgotten && !this.#wasLate(beganUs, found)) {
        watched.last = found
        watched.seen = this.#seenOf(watched, found, beganUs, settled)
      }
    } catch {
      // `observe` tells everything as an observation; what it throws (a server just removed) says nothing of the server.
    }
    watched.looking = false
    if (this.#ended || this.#servers.get(id) !== watched) return
    const again = watched.again
    watched.again = false
    watched.timer = setTimeout(() => this.lookNow(id), again ? 0 : lookEveryMs)
    this.#options.looked()
  }

  /**
   * Lets it somebody new in? The connection that looks go over is old: it is answered also where the server's first
   * process hangs. Asked twice a second, and at each look while it does not.
   */
  async #opens(id: string, watched: Watched, beganUs: number): Promise<boolean> {
    if (beganUs - watched.knockedUs < knockEveryUs) return true
    const { host, port } = this.#options.servers.address(id)
    const knock = this.#options.knock ?? knockAt
    const opens = await knock(host, port, this.#options.timeoutMs())
    if (opens) watched.knockedUs = beganUs
    return opens
  }

  #wasLate(beganUs: number, found: ServerObservation): boolean {
    if (found.answers || found.processAlive === false) return false
    this.#beats()
    return this.#stalledUs >= beganUs
  }

  /**
   * Its position is final: it streams, or it has asked for more than it has itself. Asked before the position is read:
   * a replica that was just started still replays its own log, and would seem to be behind.
   */
  async #settled(id: string, { last }: Watched): Promise<boolean> {
    if (last === null || !last.answers || !last.inRecovery) return false
    if (last.streamsFrom !== null && !this.#options.careful()) return true
    try {
      const [row] = await this.#options.servers.query(id, settledSql, this.#options.timeoutMs())
      return row?.[0] === 't' || row?.[0] === 'true'
    } catch {
      return false
    }
  }

  #seenOf(watched: Watched, found: ServerObservation, beganUs: number, settled: boolean): SeenServer {
    const { id } = found
    return {
      id,
      beganUs,
      endedUs: this.#options.clock.monotonic(),
      processAlive: found.processAlive,
      answers: found.answers,
      problem: found.problem,
      inRecovery: found.inRecovery,
      timeline: found.position.timeline,
      lsn: found.position.lsn,
      settled: !found.inRecovery || found.streamsFrom !== null || settled,
      streamsFrom: this.#idAt(found.streamsFrom),
      standbys: found.standbys.map(one => ({
        id: one.id,
        streaming: one.state === 'streaming',
        flushLsn: one.flushLsn,
      })),
      writes: found.writes,
      disk: watched.disk,
      busy: watched.busy,
    }
  }

  #idAt(address: string | null): string | null {
    if (address === null) return null
    for (const id of this.#servers.keys()) {
      const { host, port } = this.#options.servers.address(id)
      if (`${host}:${port}` === address) return id
    }
    return address
  }
}

const knockEveryUs = 500_000
const shut = 'lets nobody new in'
/** SSLRequest: the first thing that a client may say, and answered before anybody logs in. */
const sslRequest = Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47)

async function knockAt(host: string, port: number, timeoutMs: number): Promise<boolean> {
  return (await firstAnswer(host, port, sslRequest, timeoutMs)) !== null
}

/** Set once a replica has read all that it has itself and asked for more. */
const settledSql = 'SELECT pg_last_wal_receive_lsn() IS NOT NULL'
