// The supervisor's end of the edge's control socket: requests with ids and time limits, replies, events. Owns nothing of
// the edge's process; that is edge-process.ts.

import type { ControlEvent, ControlMethods, ControlReply } from '../edge/control-protocol.ts'
import { edgeFailures } from '../edge/failures.ts'
import { ioFailures } from '../io/failures.ts'
import { connectLines, type LineSocket } from '../io/line-socket.ts'
import { Failure } from '../kit/failure.ts'
import { systemFailures } from './failures.ts'

export interface EdgeClient {
  /**
   * Rejects with SYSTEM_EDGE_UNREACHABLE when no answer comes (the connection is then closed), and with
   * SYSTEM_EDGE_FAILED, which quotes the edge and gives its advice, when it refuses; what was asked wrongly has the edge's code.
   */
  call<M extends keyof ControlMethods>(
    method: M,
    params: ControlMethods[M]['params'],
    timeoutMs?: number,
  ): Promise<ControlMethods[M]['result']>
  close(): void
}

export interface EdgeClientUser {
  onEvent(event: ControlEvent): void
  onEnd(): void
}

const connectTimeoutMs = 5_000
const callTimeoutMs = 15_000

interface Waiting {
  resolve(result: unknown): void
  reject(failure: Failure): void
  readonly limit: NodeJS.Timeout
}

export async function connectEdge(path: string, user: EdgeClientUser): Promise<EdgeClient> {
  const waiting = new Map<number, Waiting>()
  let nextId = 1
  let socket: LineSocket | null = null

  function end(why: string): void {
    if (socket === null) return
    socket.close()
    socket = null
    for (const call of waiting.values()) {
      clearTimeout(call.limit)
      call.reject(unreachable(why))
    }
    waiting.clear()
    user.onEnd()
  }

  function take(value: ControlReply | ControlEvent): void {
    if ('event' in value) {
      user.onEvent(value)
      return
    }
    const call = waiting.get(value.id)
    if (call === undefined) return
    waiting.delete(value.id)
    clearTimeout(call.limit)
    if ('error' in value) call.reject(refused(value.error))
    else call.resolve(value.result)
  }

  socket = await connectLines(path, connectTimeoutMs, {
    onValue: value => take(value as ControlReply | ControlEvent),
    onEnd: cause => end(cause?.message ?? 'it closed the connection'),
  }).catch((cause: Error) => {
    throw unreachable(cause.message)
  })

  return {
    call: (method, params, timeoutMs = callTimeoutMs) =>
      new Promise((resolve, reject) => {
        if (socket === null) return reject(unreachable('the connection is closed'))
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

function unreachable(why: string): Failure {
  return new Failure(systemFailures.edgeUnreachable, `The edge does not answer: ${why}.`)
}

const known = [...Object.values(edgeFailures), ...Object.values(ioFailures)]

function refused({ code, message }: { code: string; message: string }): Failure {
  const details = { code }
  const kind = known.find(one => one.code === code)
  if (kind !== undefined && kind.status < 500) return new Failure(kind, message, { details })
  const failed = { ...systemFailures.edgeFailed, ...(kind && { advice: kind.advice }) }
  return new Failure(failed, `The edge refused (${code}): ${message}`, { details })
}
