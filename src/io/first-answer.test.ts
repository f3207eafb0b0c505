import { strict as assert } from 'node:assert'
import { createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { firstAnswer } from './first-answer.ts'

test('who answers is told by the first byte; who is silent, closes or is not there by null', async t => {
  const sockets: Socket[] = []
  const modes: ((socket: Socket) => void)[] = [
    socket => socket.write('Nope'),
    () => {},
    socket => socket.end(),
  ]
  const server = createServer(socket => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.once('data', () => modes.shift()!(socket))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  const ask = (timeoutMs: number): Promise<number | null> =>
    firstAnswer('127.0.0.1', port, Uint8Array.of(1, 2), timeoutMs)
  assert.equal(await ask(20_000), 'N'.charCodeAt(0))
  assert.equal(await ask(50), null)
  assert.equal(await ask(20_000), null)
  for (const socket of sockets) socket.destroy()
  await new Promise(resolve => server.close(resolve))
  assert.equal(await ask(20_000), null)
})
