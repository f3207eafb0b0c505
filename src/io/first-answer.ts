// Whether somebody listens who answers: connects, says a few bytes, and gives what comes first. For servers that speak
// only when spoken to, and whose port the system opens also while they hang.

import { connect } from 'node:net'

/** The first byte of the answer; null: refused, ended, or nothing in time. Leaves no connection behind. */
export function firstAnswer(
  host: string,
  port: number,
  said: Uint8Array,
  timeoutMs: number,
): Promise<number | null> {
  return new Promise(resolve => {
    const socket = connect({ host, port, noDelay: true })
    const end = (byte: number | null): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(byte)
    }
    const timer = setTimeout(() => end(null), timeoutMs)
    socket.once('connect', () => socket.write(said))
    socket.once('data', (data: Buffer) => end(data[0] ?? null))
    socket.once('error', () => end(null))
    socket.once('close', () => end(null))
  })
}
