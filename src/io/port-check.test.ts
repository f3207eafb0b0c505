import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { portTrouble, udpPortTrouble } from './port-check.ts'

test('a port that somebody holds is taken and says by whom, and is free again afterwards', async () => {
  const holder = createServer()
  await new Promise<void>(resolve => holder.listen(0, '127.0.0.1', resolve))
  const { port } = holder.address() as { port: number }
  const trouble = await portTrouble('127.0.0.1', port)
  assert.equal(trouble?.kind, 'taken')
  assert.match(trouble.reason, /taken by /)
  await new Promise<void>(resolve => holder.close(() => resolve()))
  assert.equal(await portTrouble('127.0.0.1', port), null)
})

test('a port that others share by reusePort counts as taken', async () => {
  const holder = createServer()
  await new Promise<void>(resolve => holder.listen({ port: 0, host: '127.0.0.1', reusePort: true }, resolve))
  const { port } = holder.address() as { port: number }
  assert.equal((await portTrouble('127.0.0.1', port))?.kind, 'taken')
  await new Promise<void>(resolve => holder.close(() => resolve()))
})

test('an address of another machine is told apart', async () => {
  assert.equal((await portTrouble('192.0.2.1', 8080))?.kind, 'no-address')
})

test('a UDP port that somebody hears is taken, and free again afterwards', async () => {
  let tcpFree = false
  // Somebody else may have the TCP port of that number.
  for (let tries = 0; tries < 5 && !tcpFree; tries++) {
    const holder = createSocket({ type: 'udp4', reusePort: true })
    await new Promise<void>(resolve => holder.bind(0, '127.0.0.1', resolve))
    const { port } = holder.address()
    const taken = await udpPortTrouble('127.0.0.1', port)
    tcpFree = (await portTrouble('127.0.0.1', port)) === null
    await new Promise<void>(resolve => holder.close(resolve))
    assert.equal(taken?.kind, 'taken')
    assert.equal(await udpPortTrouble('127.0.0.1', port), null)
  }
  assert.ok(tcpFree, 'TCP ports are others')
})
