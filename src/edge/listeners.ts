// The listeners of one worker: opens what the snapshot lists and is not open, closes what it does not list any more, and
// gives each accepted stream to what its kind speaks. One that can't be opened is tried again.

import type { Listener, Stream, StreamHandler } from '../io/net.ts'
import { acceptHttp } from './accept.ts'
import type { WorkerContext } from './context.ts'
import { acceptHealth } from './health-listener.ts'
import type { WorkerStart } from './messages.ts'
import type { ListenerSpec } from './snapshot.ts'
import { acceptTcp } from './tcp-proxy.ts'
import { openUdp } from './udp-proxy.ts'

const listenBacklog = 4_096
const listenAgainMs = 1_000
const deaf: StreamHandler = { opened() {}, data() {}, ended() {}, drained() {}, closed() {} }

interface OpenListener {
  readonly listener: Pick<Listener, 'close'>
  readonly host: string
  readonly port: number
  readonly kind: ListenerSpec['kind']
  readonly lean: boolean
}

/** Neither TLS nor HTTP/2 will be begun on what it accepts. */
function isLean(spec: ListenerSpec): boolean {
  return spec.kind === 'health' || (spec.kind === 'tcp' && !spec.tls)
}

function isStill(open: OpenListener, spec: ListenerSpec): boolean {
  return spec.kind === open.kind && spec.host === open.host && isLean(spec) === open.lean
}

export class Listeners {
  readonly #worker: WorkerContext
  readonly #reusePort: boolean
  /** What the process has files for. */
  readonly #connectionsMax: number
  readonly #failed: (listener: string, code: string) => void
  readonly #open = new Map<string, OpenListener>()

  constructor(
    worker: WorkerContext,
    start: Pick<WorkerStart, 'reusePort' | 'connectionsMax'>,
    failed: (listener: string, code: string) => void,
  ) {
    this.#worker = worker
    this.#reusePort = start.reusePort
    this.#connectionsMax = start.connectionsMax
    this.#failed = failed
  }

  /** The snapshot in use, with the real ports by listener id. */
  async update(ports: ReadonlyMap<string, number>): Promise<void> {
    const wanted = new Map(this.#worker.snapshot.spec.listeners.map(spec => [spec.id, spec]))
    for (const [id, open] of this.#open) {
      const spec = wanted.get(id)
      if (spec !== undefined && isStill(open, spec) && ports.get(id) === open.port) continue
      open.listener.close()
      this.#open.delete(id)
    }
    for (const [id, spec] of wanted) {
      if (this.#open.has(id) || this.#worker.draining) continue
      const port = ports.get(id) as number
      try {
        const listener = await this.#listen(spec, port)
        this.#open.set(id, { listener, host: spec.host, port, kind: spec.kind, lean: isLean(spec) })
      } catch (error) {
        this.#failed(id, (error as NodeJS.ErrnoException).code ?? 'ERROR')
        this.#again(ports)
      }
    }
  }

  /** The port was free a moment ago: who took it may let go of it. */
  #again(ports: ReadonlyMap<string, number>): void {
    const worker = this.#worker
    const { version } = worker.snapshot
    setTimeout(() => {
      if (worker.snapshot.version === version && !worker.draining) void this.update(ports)
    }, listenAgainMs)
  }

  #listen(spec: ListenerSpec, port: number): Promise<Pick<Listener, 'close'>> {
    if (spec.kind === 'udp') return openUdp(this.#worker, spec, port, this.#reusePort)
    return this.#worker.net.listen({
      host: spec.host,
      port,
      reusePort: this.#reusePort,
      backlog: listenBacklog,
      lean: isLean(spec),
      handlerOf: stream => this.#accept(spec.id, stream),
    })
  }

  /** By the snapshot of now: a listener outlives changes of what it does. */
  #accept(id: string, stream: Stream): StreamHandler {
    const worker = this.#worker
    worker.refresh()
    const spec = worker.snapshot.spec.listeners.find(one => one.id === id)
    if (spec?.kind === 'health') return acceptHealth(worker, spec, stream)
    if (spec === undefined || spec.kind === 'udp' || this.#isFull()) {
      worker.cells.worker.refused[worker.index]!++
      stream.destroy()
      return deaf
    }
    return spec.kind === 'tcp' ? acceptTcp(worker, spec, stream) : acceptHttp(worker, spec, stream)
  }

  #isFull(): boolean {
    const { cells, snapshot } = this.#worker
    let open = 0
    for (const count of cells.worker.connections) open += count
    return open >= Math.min(snapshot.spec.limits.connectionsMax, this.#connectionsMax)
  }

  close(): void {
    for (const { listener } of this.#open.values()) listener.close()
  }
}
