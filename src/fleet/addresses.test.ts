// Services of addresses: as written, and by names that change, asked of a real name server.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startNameServer } from '../io/testing/name-server.ts'
import type { AddressSpec } from './contract.ts'
import { type RecordingFront, rig, service, until } from './fixtures/harness.ts'

const named: AddressSpec = {
  kind: 'addresses',
  name: 'live',
  addresses: [{ kind: 'dns', host: 'live.test', port: 3000, weight: 2, tier: 0 }],
}

function listed(front: RecordingFront): string[] {
  return (front.lists.get('live') ?? []).map(one => `${one.id} w${one.weight} t${one.tier}`)
}

test('written addresses are members with their weights and tiers, each once', async context => {
  const { fleet, front } = rig(context)
  const report = await fleet.apply([
    {
      kind: 'addresses',
      name: 'live',
      addresses: [
        { kind: 'static', host: '10.0.0.5', port: 3000, weight: 3, tier: 0 },
        { kind: 'static', host: 'fd00::1', port: 3000, weight: 1, tier: 1 },
        { kind: 'static', host: '10.0.0.5', port: 3000, weight: 1, tier: 1 },
      ],
    },
  ])
  assert.equal(report.services[0]?.outcome, 'ready')
  assert.deepEqual(listed(front), ['10.0.0.5:3000 w3 t0', '[fd00::1]:3000 w1 t1'])
  await fleet.drain('10.0.0.5:3000')
  assert.equal(front.lists.get('live')?.[0]?.state, 'draining')
  await fleet.undrain('live/10.0.0.5:3000')
  assert.equal(front.lists.get('live')?.[0]?.state, 'active')
  await assert.rejects(fleet.scale('live', 2), { code: 'FLEET_NOT_OUR_PROCESSES' })
})

test('a name is asked for again when its time is over, and the members follow', async context => {
  const server = await startNameServer()
  context.after(() => server.close())
  server.zone.set('live.test', [{ type: 'A', data: '10.0.0.1', ttl: 1 }])
  const { fleet, front, decisions } = rig(context, { nameServers: [server.address] })
  await fleet.apply([named])
  assert.deepEqual(listed(front), ['10.0.0.1:3000 w2 t0'])
  server.zone.set('live.test', [
    { type: 'A', data: '10.0.0.1', ttl: 1 },
    { type: 'A', data: '10.0.0.2', ttl: 1 },
  ])
  await until('both are members', () => listed(front).length === 2)
  server.zone.set('live.test', [{ type: 'A', data: '10.0.0.2', ttl: 1 }])
  await until('the first is gone', () => listed(front).join() === '10.0.0.2:3000 w2 t0')
  assert.ok(decisions.some(decision => decision.text === 'live.test is now 10.0.0.2:3000'))
})

test('while a name can not be resolved its last addresses stay, and that is said', async context => {
  const server = await startNameServer()
  context.after(() => server.close())
  server.zone.set('live.test', [{ type: 'A', data: '10.0.0.1', ttl: 1 }])
  const { fleet, front, decisions } = rig(context, { nameServers: [server.address] })
  await fleet.apply([named])
  server.behave('fail')
  const said = await until('it is said', () => decisions.find(decision => /SERVFAIL/.test(decision.text)))
  assert.match(
    said.text,
    /live\.test: the name server failed \(SERVFAIL\); its last 1 known addresses stay in use/,
  )
  assert.deepEqual(listed(front), ['10.0.0.1:3000 w2 t0'])
  assert.equal(fleet.status()[0]?.state, 'degraded')
  server.zone.set('live.test', [{ type: 'A', data: '10.0.0.9', ttl: 1 }])
  server.behave('answer')
  await until('the new address', () => listed(front).join() === '10.0.0.9:3000 w2 t0')
  assert.equal(fleet.status()[0]?.state, 'ready')
})

test('a name without an answer from the start fails, and joins when it answers', async context => {
  const server = await startNameServer()
  context.after(() => server.close())
  const { fleet, front } = rig(context, { nameServers: [server.address] })
  const report = await fleet.apply([named])
  assert.equal(report.services[0]?.outcome, 'failed')
  assert.equal(report.services[0]?.failures[0]?.code, 'FLEET_NAME_UNRESOLVED')
  assert.match(
    report.services[0]?.failures[0]?.message ?? '',
    /live\.test: no such name \(NXDOMAIN\); it has no address yet/,
  )
  server.zone.set('live.test', [{ type: 'A', data: '10.0.0.1', ttl: 60 }])
  await until('it joined', () => listed(front).length === 1)
})

test('SRV priorities become tiers from the entry’s own on', async context => {
  const server = await startNameServer()
  context.after(() => server.close())
  server.zone.set('_http._tcp.test', [
    { type: 'SRV', data: { priority: 5, weight: 7, port: 80, target: 'a.test' }, ttl: 1 },
    { type: 'SRV', data: { priority: 50, weight: 1, port: 81, target: 'b.test' }, ttl: 1 },
  ])
  server.zone.set('a.test', [{ type: 'A', data: '10.0.0.1', ttl: 1 }])
  server.zone.set('b.test', [{ type: 'A', data: '10.0.0.2', ttl: 1 }])
  const { fleet, front } = rig(context, { nameServers: [server.address] })
  await fleet.apply([{ ...named, addresses: [{ kind: 'srv', host: '_http._tcp.test', tier: 1 }] }])
  assert.deepEqual(listed(front), ['10.0.0.1:80 w7 t1', '10.0.0.2:81 w1 t2'])
})

test('a service may change between processes and addresses', async context => {
  const { fleet, front, mark } = rig(context)
  const fixed: AddressSpec = {
    ...named,
    addresses: [{ kind: 'static', host: '10.0.0.5', port: 1, weight: 1, tier: 0 }],
  }
  await fleet.apply([service('live')])
  await fleet.apply([fixed])
  assert.deepEqual(listed(front), ['10.0.0.5:1 w1 t0'])
  await fleet.apply([service('live')])
  assert.deepEqual(listed(front), ['live-1 w1 t0'])
  assert.ok(mark)
})

test('a member that two services have is named with its service', async context => {
  const { fleet, front } = rig(context)
  const fixed: AddressSpec = {
    ...named,
    addresses: [{ kind: 'static', host: '10.0.0.5', port: 1, weight: 1, tier: 0 }],
  }
  await fleet.apply([fixed, { ...fixed, name: 'other' }])
  await assert.rejects(fleet.drain('10.0.0.5:1'), { code: 'FLEET_MEMBER_AMBIGUOUS' })
  await fleet.drain('other/10.0.0.5:1')
  assert.deepEqual([front.active('live').length, front.active('other').length], [1, 0])
})
