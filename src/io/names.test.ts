import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createNames } from './names.ts'
import { type NameServer, startNameServer } from './testing/name-server.ts'

async function served(context: TestContext): Promise<NameServer & { names: ReturnType<typeof createNames> }> {
  const server = await startNameServer()
  const names = createNames({ servers: [server.address], timeoutMs: 300 })
  context.after(async () => {
    names.close()
    await server.close()
  })
  return { ...server, names }
}

test('A and AAAA are asked for together, and the shortest time-to-live holds', async context => {
  const { names, zone } = await served(context)
  zone.set('web.test', [
    { type: 'A', data: '10.0.0.2', ttl: 30 },
    { type: 'A', data: '10.0.0.1', ttl: 30 },
    { type: 'AAAA', data: 'fd00::1', ttl: 7 },
  ])
  const answer = await names.host('web.test')
  assert.deepEqual(
    answer.addresses.map(one => one.address),
    ['10.0.0.1', '10.0.0.2', 'fd00::1'],
  )
  assert.equal(answer.ttlMs, 7000)
})

test('SRV gives ports, priorities and weights, with the addresses of each target', async context => {
  const { names, zone } = await served(context)
  zone.set('_http._tcp.test', [
    { type: 'SRV', data: { priority: 20, weight: 0, port: 81, target: 'b.test' }, ttl: 5 },
    { type: 'SRV', data: { priority: 10, weight: 3, port: 80, target: 'a.test' }, ttl: 5 },
  ])
  zone.set('a.test', [{ type: 'A', data: '10.0.0.1', ttl: 9 }])
  zone.set('b.test', [{ type: 'A', data: '10.0.0.2', ttl: 20 }])
  const answer = await names.service('_http._tcp.test')
  assert.deepEqual(answer, {
    addresses: [
      { address: '10.0.0.1', port: 80, priority: 10, weight: 3 },
      { address: '10.0.0.2', port: 81, priority: 20, weight: 1 },
    ],
    ttlMs: 9000,
  })
})

test('an SRV target of "." is an answer: the service is not there', async context => {
  const { names, zone } = await served(context)
  zone.set('_http._tcp.test', [
    { type: 'SRV', data: { priority: 0, weight: 0, port: 0, target: '' }, ttl: 5 },
  ])
  assert.deepEqual(await names.service('_http._tcp.test'), { addresses: [], ttlMs: null })
})

test('a name that does not exist, one without addresses, a failing and a silent server are told apart', async context => {
  const { names, zone, behave } = await served(context)
  zone.set('empty.test', [])
  await assert.rejects(names.host('nobody.test'), /nobody\.test: no such name \(NXDOMAIN\)/)
  await assert.rejects(names.host('empty.test'), /empty\.test: has no address \(NODATA\)/)
  behave('fail')
  await assert.rejects(names.host('web.test'), /web\.test: the name server failed \(SERVFAIL\)/)
  behave('silent')
  await assert.rejects(names.host('web.test'), /web\.test: no name server answered in time/)
})

test('addresses and localhost need no name server', async () => {
  const names = createNames({ servers: ['127.0.0.1:1'], timeoutMs: 300 })
  assert.deepEqual(
    (await names.host('10.1.2.3')).addresses.map(one => one.address),
    ['10.1.2.3'],
  )
  const local = await names.host('localhost')
  assert.ok(local.addresses.some(one => one.address === '127.0.0.1' || one.address === '::1'))
  await assert.rejects(names.host('web.test'), /no name server could be reached|answered in time/)
})
