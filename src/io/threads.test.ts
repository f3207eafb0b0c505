// A thread that faults takes nobody with it.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { Worker } from './threads.ts'

const frame = (type: number, flags: number, stream: number, payload: readonly number[]): Buffer =>
  Buffer.from([0, 0, payload.length, type, flags, 0, 0, 0, stream, ...payload])
/** POST / with `:scheme: http` and `:authority: a` (RFC 7541 A, 6.2.2). */
const fields = [0x83, 0x86, 0x84, 0x01, 1, 97]

test('a fault in the middle of what HTTP/2 reads ends its thread, and not the process', {
  timeout: 60_000,
}, async t => {
  const thread = new Worker(new URL('./testing/faulting-thread.ts', import.meta.url))
  t.after(() => thread.terminate())
  const [port] = (await once(thread, 'message')) as [number]
  const faults: string[] = []
  thread.on('error', error => faults.push((error as Error).message))
  const exited = new Promise<number>(resolve => thread.once('exit', resolve))
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  t.after(() => socket.destroy())
  socket.resume()
  // All in one read: the fault at the first stream leaves two more that nobody would have been told of.
  const streams = [1, 3, 5].flatMap(id => [frame(1, 4, id, fields), frame(0, 1, id, [120])])
  socket.write(
    Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0, []), ...streams]),
  )
  assert.equal(await exited, 1)
  assert.deepEqual(faults, ['a fault of the test'])
})
