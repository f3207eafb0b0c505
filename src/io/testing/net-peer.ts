// One side of a connection as the contract's cases see it: it records what its stream tells, can be waited on, and
// notices by itself what no stream may do: call back from inside a method, deliver while paused, speak after `closed`.

import assert from 'node:assert/strict'
import type { Listener, Net, Stream, StreamHandler } from '../net.ts'

/** Generous: a machine may be busy. A case that hangs says what it waited for. */
const livenessMs = 20_000

export class Peer implements StreamHandler {
  stream!: Stream
  readonly events: string[] = []
  readonly faults: string[] = []
  text = ''
  bytes = 0
  drains = 0
  /** Called after the event was recorded. */
  onData: ((bytes: Buffer, length: number) => void) | null = null
  onOpened: (() => void) | null = null
  onDrained: (() => void) | null = null
  keepText = true
  #busy = false
  #waiting: (() => void)[] = []

  opened(stream: Stream): void {
    this.stream = stream
    this.#record('opened', () => this.onOpened?.())
  }
  data(stream: Stream, bytes: Buffer, length: number): void {
    if (stream.paused) this.faults.push('data while paused')
    if (length <= 0) this.faults.push(`data of ${length} bytes`)
    if (this.keepText) this.text += bytes.toString('latin1', 0, length)
    this.bytes += length
    this.#record('data', () => this.onData?.(bytes, length))
  }
  ended(stream: Stream): void {
    if (stream.paused) this.faults.push('ended while paused')
    this.#record('ended')
  }
  drained(): void {
    this.drains++
    this.#record('drained', () => this.onDrained?.())
  }
  closed(_stream: Stream, code: string): void {
    this.#record(`closed ${code}`.trimEnd())
  }

  #record(event: string, then?: () => void): void {
    if (this.#busy) this.faults.push(`${event} from inside a method`)
    const last = this.events.at(-1)
    if (last?.startsWith('closed')) this.faults.push(`${event} after ${last}`)
    if (event !== last || event !== 'data') this.events.push(event)
    then?.()
    for (const wake of this.#waiting) wake()
  }

  /** Calls a method of the stream; a callback of this peer in its middle is a fault. */
  call<T>(action: (stream: Stream) => T): T {
    const outer = this.#busy
    this.#busy = true
    try {
      return action(this.stream)
    } finally {
      this.#busy = outer
    }
  }

  get closeEvent(): string | undefined {
    return this.events.find(event => event.startsWith('closed'))
  }

  has(event: string): Promise<void> {
    return this.until(() => this.events.includes(event), event)
  }

  gone(): Promise<void> {
    return this.until(() => this.closeEvent !== undefined, 'closed')
  }

  until(condition: () => boolean, what: string): Promise<void> {
    if (condition()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(limit)
        this.#waiting = this.#waiting.filter(one => one !== check)
      }
      const check = (): void => {
        if (!condition()) return
        done()
        resolve()
      }
      const limit = setTimeout(() => {
        done()
        reject(new Error(`waited for ${what}; heard ${this.events.join(', ')}; ${this.bytes} bytes`))
      }, livenessMs)
      this.#waiting.push(check)
    })
  }
}

export interface Pair {
  readonly client: Peer
  readonly server: Peer
  readonly listener: Listener
}

export interface PairSetup {
  readonly host?: string
  readonly connectTo?: string
  /** Inside `handlerOf`. */
  readonly accepted?: (server: Peer) => void
  /** Right after `connect` returned. */
  readonly connecting?: (client: Peer) => void
}

export async function listenOnce(net: Net, handlerOf: (stream: Stream) => StreamHandler): Promise<Listener> {
  return net.listen({ host: '127.0.0.1', port: 0, reusePort: false, backlog: 128, handlerOf })
}

/** A connected pair for the length of `body`; afterwards both sides are gone, and neither broke a rule. */
export async function withPair(
  net: Net,
  setup: PairSetup,
  body: (pair: Pair) => Promise<void>,
): Promise<void> {
  const client = new Peer()
  const server = new Peer()
  const host = setup.host ?? '127.0.0.1'
  let accepted = (): void => {}
  const bothThere = new Promise<void>(resolve => {
    accepted = resolve
  })
  const handlerOf = (stream: Stream): StreamHandler => {
    server.stream = stream
    setup.accepted?.(server)
    accepted()
    return server
  }
  const listener = await net.listen({ host, port: 0, reusePort: false, backlog: 128, handlerOf })
  try {
    client.stream = net.connect(setup.connectTo ?? host, listener.port, client)
    setup.connecting?.(client)
    await bothThere
    await client.has('opened')
    await body({ client, server, listener })
  } finally {
    listener.close()
    for (const peer of [client, server]) peer.stream?.destroy()
  }
  await Promise.all([client.gone(), server.gone()])
  await turns(3)
  assert.deepEqual([...client.faults, ...server.faults], [])
}

/** Lets the event loop go round: what was under way has been delivered, or would be wrongly. */
export async function turns(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await new Promise(resolve => setTimeout(resolve, 1))
}
