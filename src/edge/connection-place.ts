// The place that a client's connection has with the guard, from the moment its address is known to its very end, whatever
// protocols come to speak on it: who passes the stream on passes the place on. Without a guard it is one shared object
// that does nothing.

import type { Stream } from '../io/net.ts'
import type { WorkerContext } from './context.ts'

export class ConnectionPlace {
  readonly address: string
  readonly #worker: WorkerContext | null
  readonly #token: number
  #held = true
  /** Ends the connection now; who takes the stream over puts its own way in place. */
  end: () => void

  constructor(worker: WorkerContext | null, address: string, token: number, end: () => void) {
    this.#worker = worker
    this.address = address
    this.#token = token
    this.end = end
    worker?.places.add(this)
  }

  /** The connection is over; again it does nothing. */
  leave(): void {
    const worker = this.#worker
    if (worker === null || !this.#held) return
    this.#held = false
    worker.places.delete(this)
    worker.guard?.connectionClosed(this.#token)
  }
}

const anyPlace = new ConnectionPlace(null, '', 0, () => {})

/** Null: the guard does not want it. @param addressOf asked only where somebody wants to know */
export function takePlace(
  worker: WorkerContext,
  stream: Stream,
  addressOf: () => string,
): ConnectionPlace | null {
  const { guard } = worker
  if (guard === null || !guard.looksAtConnections) return anyPlace
  const address = addressOf()
  const token = guard.connectionOpened(address)
  if (token === connectionRefused) return null
  return new ConnectionPlace(worker, address, token, () => stream.destroy())
}

/** Of `WorkerGuard.connectionOpened`. */
export const connectionRefused: number = -1

/** Ends those whose addresses are asked for. */
export function endPlaces(worker: Pick<WorkerContext, 'places'>, holds: (address: string) => boolean): void {
  for (const place of [...worker.places]) if (holds(place.address)) place.end()
}
