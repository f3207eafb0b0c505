// The router as a process: its control socket and how it ends. Works from STATE/router/snapshot.json and from what its
// supervisor pushes; serves on when the supervisor is gone.

import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { readJson } from '../../io/json-file.ts'
import { type LineServer, listenLines } from '../../io/line-server.ts'
import type { LineSocket } from '../../io/line-socket.ts'
import { writeOwned } from '../../io/owned-files.ts'
import { socketPath } from '../../io/socket-path.ts'
import { Failure } from '../../kit/failure.ts'
import { databaseFailures } from '../failures.ts'
import type { FeedRecord } from '../feed/index.ts'
import type { RouterControlEvent, RouterControlMethods, RouterStatus } from './control-protocol.ts'
import { createRouter, type Router, type RouterFeeds } from './router.ts'
import type { RouterSnapshot } from './snapshot.ts'

export interface RouterRoleOptions {
  readonly stateDirectory: string
  readonly nonce: string
  /** Name of the control socket in the state directory. */
  readonly socketName?: string
  /** Another router listens on the same ports and will let go of them. */
  readonly besideAnother?: boolean
  /** Edges and shared tiers; absent: none are told of changes. */
  readonly sinksOf?: RouterFeeds['sinksOf']
}

interface ControlRequest {
  readonly id: number
  readonly method: string
  readonly params: unknown
}

/** A drain that nobody set a limit for: TERM and INT. */
const drainMs = 10_000
const pollMs = 10

/**
 * Runs the router in this process until it is told to stop. TERM and INT drain; a second one ends it at once. What goes
 * wrong at the start is said in one line on standard error, and the process exits with 1.
 */
export async function runRouter(options: RouterRoleOptions): Promise<void> {
  process.title = 'tenfold router'
  try {
    const role = await RouterRole.start(options)
    let asked = 0
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (asked++ > 0) process.exit(1)
        void role.stop(drainMs)
      })
    }
    await role.stopped
    process.exit(0)
  } catch (error) {
    const known = error instanceof Failure
    console.error(known ? `${error.code}: ${error.message} ${error.kind.advice}` : error)
    process.exit(1)
  }
}

/** `STATE/router/feed-NAME.json`, synced. */
function feedsOf({ stateDirectory, sinksOf }: RouterRoleOptions): RouterFeeds {
  const place = `${hostname()}:${resolve(stateDirectory)}`
  return {
    identity: createHash('sha256').update(place).digest('hex').slice(0, 10),
    memoryOf: database => {
      const file = join(stateDirectory, 'router', `feed-${database}.json`)
      return {
        read: () => readJsonOrNull<FeedRecord>(file),
        write: record => writeOwned(file, `${JSON.stringify(record)}\n`, 0o600, null),
      }
    },
    sinksOf: sinksOf ?? (() => ({ sinks: [], close: () => {} })),
  }
}

function readJsonOrNull<T>(file: string): T | null {
  try {
    return readJson<T>(file)
  } catch {
    return null
  }
}

class RouterRole {
  readonly #nonce: string
  readonly #startedAt = Date.now()
  readonly #router: Router
  #server: LineServer | null = null
  #applying: Promise<unknown> = Promise.resolve()
  #over: () => void = () => {}
  readonly stopped: Promise<void> = new Promise(resolve => {
    this.#over = resolve
  })

  private constructor(nonce: string, router: Router) {
    this.#nonce = nonce
    this.#router = router
  }

  static async start(options: RouterRoleOptions): Promise<RouterRole> {
    const snapshot = readJson<RouterSnapshot>(join(options.stateDirectory, 'router', 'snapshot.json'))
    let role: RouterRole | null = null
    const router = await createRouter({
      snapshot,
      besideAnother: options.besideAnother ?? false,
      feeds: feedsOf(options),
      tell: (subject, text) => role?.tell(subject, text),
    })
    role = new RouterRole(options.nonce, router)
    try {
      role.#server = await role.#openControl(
        socketPath(options.stateDirectory, options.socketName ?? 'router'),
      )
    } catch (failure) {
      router.close()
      throw failure
    }
    return role
  }

  async #openControl(path: string): Promise<LineServer> {
    try {
      return await listenLines(path, {
        onValue: (peer, value) => void this.#answer(peer, value as ControlRequest),
      })
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause
      const sentence = `Another router answers on ${path}.`
      throw new Failure(databaseFailures.controlBusy, sentence, { cause })
    }
  }

  tell(subject: string, text: string): void {
    const event: RouterControlEvent = { event: 'decision', at: Date.now(), subject, text }
    this.#server?.broadcast(event)
  }

  async #answer(peer: LineSocket, request: ControlRequest): Promise<void> {
    const id = typeof request?.id === 'number' ? request.id : 0
    try {
      const call = this.#methods[request?.method as keyof RouterControlMethods]
      if (call === undefined) {
        const sentence = `There is no control method '${String(request?.method)}'.`
        throw new Failure(databaseFailures.controlRequest, sentence)
      }
      peer.send({ id, result: await call(request.params as never) })
    } catch (error) {
      const code = error instanceof Failure ? error.code : 'DATABASE_FAULT'
      peer.send({ id, error: { code, message: error instanceof Error ? error.message : String(error) } })
    }
  }

  readonly #methods: {
    [M in keyof RouterControlMethods]: (
      params: RouterControlMethods[M]['params'],
    ) => Promise<RouterControlMethods[M]['result']> | RouterControlMethods[M]['result']
  } = {
    apply: ({ snapshot }) => this.#apply(snapshot),
    status: () => this.#status(),
    metrics: () => ({ text: this.#router.metricsText() }),
    drained: ({ database, timeoutMs, earlier }) => this.#drained(database, timeoutMs, earlier === true),
    heat: ({ database }) => ({ heat: this.#router.heatOf(database) }),
    stop: ({ drainMs }) => {
      // The answer goes out first.
      setImmediate(() => void this.stop(drainMs))
      return {}
    },
  }

  /** One at a time, in the order in which they come. */
  #apply(snapshot: RouterSnapshot): Promise<{ version: number }> {
    const next = this.#applying.then(async () => {
      await this.#router.apply(snapshot)
      return { version: snapshot.version }
    })
    this.#applying = next.catch(() => {})
    return next
  }

  #status(): RouterStatus {
    const { snapshot, draining } = this.#router
    return {
      pid: process.pid,
      nonce: this.#nonce,
      startedAt: this.#startedAt,
      version: snapshot.version,
      draining,
      databases: this.#router.status(),
    }
  }

  async #drained(
    database: string,
    timeoutMs: number,
    earlier: boolean,
  ): Promise<{ drained: boolean; open: number }> {
    const end = this.#router.clock.monotonic() + timeoutMs * 1000
    for (;;) {
      const open = earlier ? this.#router.earlierOn(database) : this.#router.openOn(database)
      if (open === 0 || this.#router.clock.monotonic() >= end) return { drained: open === 0, open }
      await new Promise(resolve => setTimeout(resolve, pollMs))
    }
  }

  async stop(drainMs: number): Promise<void> {
    if (this.#router.draining) return
    await this.#router.stop(drainMs)
    this.#server?.close()
    this.#over()
  }
}
