// The supervisor's end of a data plane's control socket (edge, router): requests with ids and time limits, replies,
// events. Owns nothing of the process at the other end.

import { connectLines, type LineSocket } from '../io/line-socket.ts'
import { Failure, type FailureKind } from '../kit/failure.ts'

/** Method names with what they take and give. */
export type Methods<M> = { [K in keyof M]: { readonly params: unknown; readonly result: unknown } }

export interface ControlSocket<M extends Methods<M>> {
  /**
   * Rejects with `unreachable` when no answer comes (the connection is then closed), and with `failed`, which quotes the
   * process and gives its advice, when it refuses; what was asked wrongly has the code that it was refused with.
   */
  call<K extends keyof M & string>(
    method: K,
    params: M[K]['params'],
    timeoutMs?: number,
  ): Promise<M[K]['result']>
  close(): void
}

export interface ControlSocketUser<E> {
  onEvent(event: E): void
  onEnd(): void
}

/** Who is at the other end, and how it fails. */
export interface ControlPeer {
  /** `The edge`. */
  readonly name: string
  readonly unreachable: FailureKind
  readonly failed: FailureKind
  /** Its own failures, by whose codes it refuses. */
  readonly known: readonly FailureKind[]
}

type Reply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { readonly code: string; readonly message: string } }

const connectTimeoutMs = 5_000
const callTimeoutMs = 15_000

interface Waiting {
  resolve(result: unknown): void
  reject(failure: Failure): void
  readonly limit: NodeJS.Timeout
}

export async function connectControl<M extends Methods<M>, E extends { readonly event: string }>(
  path: string,
  peer: ControlPeer,
  user: ControlSocketUser<E>,
): Promise<ControlSocket<M>> {
  const waiting = new Map<number, Waiting>()
  let nextId = 1
  let socket: LineSocket | null = null

  function end(why: string): void {
    if (socket === null) return
    socket.close()
    socket = null
    for (const call of waiting.values()) {
      clearTimeout(call.limit)
      call.reject(unreachable(peer, why))
    }
    waiting.clear()
    user.onEnd()
  }

  function take(value: Reply | E): void {
    if ('event' in value) {
      user.onEvent(value)
      return
    }
    const call = waiting.get(value.id)
    if (call === undefined) return
    waiting.delete(value.id)
    clearTimeout(call.limit)
    if ('error' in value) call.reject(refused(peer, value.error))
    else call.resolve(value.result)
  }

  socket = await connectLines(path, connectTimeoutMs, {
    onValue: value => take(value as Reply | E),
    onEnd: cause => end(cause?.message ?? 'it closed the connection'),
  }).catch((cause: Error) => {
    throw unreachable(peer, cause.message)
  })

  return {
    call: (method, params, timeoutMs = callTimeoutMs) =>
      new Promise((resolve, reject) => {
        if (socket === null) return reject(unreachable(peer, 'the connection is closed'))
        const id = nextId++
        const limit = setTimeout(() => end(`no answer to '${method}' in ${timeoutMs} ms`), timeoutMs)
        waiting.set(id, { resolve: resolve as (result: unknown) => void, reject, limit })
        socket.send({ id, method, params })
      }),
    close: () => {
      // Not a surprise to the user: nothing is told.
      user = { onEvent: () => {}, onEnd: () => {} }
      end('the connection was closed')
    },
  }
}

function unreachable(peer: ControlPeer, why: string): Failure {
  return new Failure(peer.unreachable, `${peer.name} does not answer: ${why}.`)
}

function refused(peer: ControlPeer, { code, message }: { code: string; message: string }): Failure {
  const details = { code }
  const kind = peer.known.find(one => one.code === code)
  if (kind !== undefined && kind.status < 500) return new Failure(kind, message, { details })
  const failed = { ...peer.failed, ...(kind && { advice: kind.advice }) }
  return new Failure(failed, `${peer.name} refused (${code}): ${message}`, { details })
}
