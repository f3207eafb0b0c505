// Cancel requests: which client a key belongs to, and the request to the server that works for that client, on a connection
// of its own. Only what the client itself runs is cancelled: while a request is on its way its connection goes to nobody
// else. Bounded in number; never sent to a primary that is being replaced or commits, because a backend that waits for a
// replica would take it for leave to acknowledge what no replica has.

import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Stream, StreamHandler } from '../../io/net.ts'
import { Timed } from '../../kit/timer-wheel.ts'
import type { DatabaseRouting } from './database-routing.ts'
import type { ServerConnection } from './server-connection.ts'

const atOnceMax = 64
const timeoutUs = 5_000_000

export class Cancels {
  readonly #database: DatabaseRouting
  readonly #open = new Set<CancelRequest>()

  constructor(database: DatabaseRouting) {
    this.#database = database
  }

  /** The statement that runs on it now is to end. Silently not, where too many are under way. */
  send(connection: ServerConnection): void {
    if (this.#open.size >= atOnceMax || connection.cancels > 0 || connection.processId === 0) return
    connection.cancels++
    this.#open.add(new CancelRequest(this.#database, connection, one => this.#open.delete(one)))
  }

  close(): void {
    for (const one of this.#open) one.end()
  }
}

class CancelRequest extends Timed implements StreamHandler {
  readonly #database: DatabaseRouting
  readonly #connection: ServerConnection
  readonly #stream: Stream
  readonly #over: (one: CancelRequest) => void
  #ended = false

  constructor(database: DatabaseRouting, connection: ServerConnection, over: (one: CancelRequest) => void) {
    super()
    this.#database = database
    this.#connection = connection
    this.#over = over
    const { net, wheel, now } = database.context
    const { host, port } = connection.pool.server
    const { client } = database.serverTls
    this.#stream = client === null ? net.connectLean(host, port, this) : net.connect(host, port, this, client)
    wheel.set(this, now + timeoutUs)
  }

  opened(stream: Stream): void {
    const message = this.#connection.cancelMessage
    stream.writeBytes(message, 0, message.length)
  }
  data(): void {}
  drained(): void {}
  /** The server closes when it has signalled. */
  ended(stream: Stream): void {
    stream.end()
  }
  closed(): void {
    this.#database.context.refresh()
    this.#finish()
  }
  override expired(): void {
    this.end()
  }

  end(): void {
    this.#stream.destroy()
    this.#finish()
  }

  #finish(): void {
    if (this.#ended) return
    this.#ended = true
    this.#database.context.wheel.remove(this)
    this.#over(this)
    this.#connection.pool.cancelHeard(this.#connection)
  }
}

/** Whose statement a key ends. */
export interface Cancellable {
  readonly cancelKey: Buffer
  cancel(): void
}

/** Which client has which key, over all databases of a router. */
export class CancelKeys {
  readonly #sessions = new Map<number, () => Cancellable>()
  #last = randomBytes(3).readUIntBE(0, 3)

  /** Process ids are made up: positive, of no client that is there. */
  give(session: () => Cancellable, keyBytes: number): { readonly processId: number; readonly key: Buffer } {
    do this.#last = (this.#last % 0x7fff_fffe) + 1
    while (this.#sessions.has(this.#last))
    this.#sessions.set(this.#last, session)
    return { processId: this.#last, key: randomBytes(keyBytes) }
  }

  forget(processId: number): void {
    this.#sessions.delete(processId)
  }

  find(processId: number, key: Buffer): Cancellable | null {
    const session = this.#sessions.get(processId)?.()
    const own = session?.cancelKey
    if (session === undefined || own === undefined || own.length !== key.length) return null
    return timingSafeEqual(own, key) ? session : null
  }
}
