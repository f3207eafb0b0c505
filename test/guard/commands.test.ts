// `tenfold guard` on a running system: bans and allowances by command, in edges that take over and after restarts, why a
// request was refused, and the audit log held against itself.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { AuditVerdict, GuardExplanationView, GuardView } from '../../src/system/index.ts'
import type { Ran } from '../tools/project.ts'
import { RawPeer } from '../tools/raw-peer.ts'
import { type Site, settled, site, until } from '../tools/system-harness.ts'

interface Shop {
  readonly shop: Site
  /** Status of a request that a trusted proxy says comes from there; the id of the refusal. */
  ask(client: string): Promise<{ status: number; id: string }>
  guard(...args: string[]): Promise<Ran>
}

async function guardedShop(t: TestContext): Promise<Shop> {
  const shop = site(t)
  shop.configure({
    name: 'shop',
    control: { listen: 0 },
    edge: {
      listen: { http: 0 },
      trustedProxies: ['127.0.0.0/8'],
      routes: [{ path: '/*', to: 'web', guard: 'trial' }],
    },
    guard: { ban: ['198.51.100.8/31'], policies: { trial: { waf: false, sameSite: true } } },
    services: { web: shop.service() },
  })
  const { url } = await shop.begin()
  await settled(shop, 1)
  return {
    shop,
    ask: async client => {
      const headers = { 'x-forwarded-for': client, accept: 'application/json' }
      const answer = await fetch(`${url}/work?id=${crypto.randomUUID()}&password=hunter2`, { headers })
      await answer.arrayBuffer()
      return { status: answer.status, id: answer.headers.get('x-request-id') ?? '' }
    },
    guard: (...args) => shop.run('guard', ...args),
  }
}

test('a ban by command holds at once, over edges that take over, deaths and restarts, until it is taken back; an allowance goes before it', async t => {
  const { shop, ask, guard } = await guardedShop(t)
  assert.equal((await ask('192.0.2.7')).status, 200)
  const banned = await guard('ban', '192.0.2.77/24', '--reason', 'tries passwords', '--for', '2h')
  assert.match(banned.out, /^192\.0\.2\.0\/24 is banned until \d{4}-.*: tries passwords/)
  assert.equal((await ask('192.0.2.7')).status, 403)
  await guard('allow', '192.0.2.9')
  assert.deepEqual([(await ask('192.0.2.9')).status, (await ask('192.0.2.8')).status], [200, 403])
  const edge = await shop.edge()
  await edge.call('killWorker', { worker: 0 })
  edge.close()
  await until('the worker to be back', async () => (await ask('192.0.2.7').catch(() => null))?.status === 403)
  assert.equal((await shop.run('restart', 'edge')).code, 0)
  assert.deepEqual([(await ask('192.0.2.9')).status, (await ask('192.0.2.8')).status], [200, 403])
  const { rulings } = JSON.parse((await guard('--json')).out) as GuardView
  assert.deepEqual(
    rulings.map(({ kind, block, reason }) => [kind, block, reason]),
    [
      ['ban', '192.0.2.0/24', 'tries passwords'],
      ['allow', '192.0.2.9', 'asked for by an operator'],
    ],
  )
  assert.match((await guard()).out, /192\.0\.2\.0\/24 +\d{4}.* +operator +tries passwords/)
  assert.match((await guard('unban', '192.0.2.0/24')).out, /what was said by command is taken back/)
  assert.equal((await ask('192.0.2.8')).status, 200)
})

test('who is banned is told an id, by which an operator sees the rule, the reason and what would have passed, also when only the log still knows', async t => {
  const { shop, ask, guard } = await guardedShop(t)
  await guard('ban', '198.51.100.7')
  const { status, id } = await ask('198.51.100.7')
  assert.equal(status, 403)
  const explained = async (): Promise<GuardExplanationView | null> => {
    const { code, out } = await guard('explain', id, '--json')
    return code === 0 ? (JSON.parse(out) as GuardExplanationView) : null
  }
  await until('the record', async () => (await explained()) !== null)
  const view = await explained()
  assert.deepEqual(
    [view?.address, view?.code, view?.path, view?.findings[0]?.rule],
    ['198.51.100.7', 'GUARD_BANNED', '/work?id&password', 'operator'],
  )
  assert.match((await guard('explain', id)).out, /would have passed: Nothing, until the ban is taken back/)
  // Another process knows it from the log alone.
  assert.equal((await shop.run('restart', 'edge')).code, 0)
  assert.deepEqual(await explained(), view)
  const unknown = await guard('explain', 'no-such-id')
  assert.notEqual(unknown.code, 0)
  assert.match(unknown.error, /No refused request has the id 'no-such-id'/)
  const verified = await guard('verify', '--json')
  assert.equal(verified.code, 0, verified.out + verified.error)
  const log = join(shop.directory, '.tenfold', 'logs', 'guard.log')
  const text = readFileSync(log, 'utf8')
  assert.ok(!text.includes('hunter2'))
  assert.match((await guard('verify')).out, /is there: .*guard\.log:\d+\nnothing was changed or removed/)
  writeFileSync(log, `${text.split('\n').slice(0, 2).join('\n')}\n`)
  const cut = await guard('verify')
  assert.deepEqual([cut.code, /lines were cut off/.test(cut.out)], [1, true], cut.out)
  writeFileSync(log, text.replace('198.51.100.7', '198.51.100.8'))
  const changed = await guard('verify', '--json')
  assert.equal(changed.code, 1)
  assert.ok((JSON.parse(changed.out) as AuditVerdict).troubles.length > 0)
})

test('what can not be is said in a sentence and changes nothing; a ban is about what a trusted proxy says on its connection, too', async t => {
  const { shop, guard } = await guardedShop(t)
  for (const [args, said] of [
    [['ban'], /needs an address or a block/],
    [['ban', '300.1.1.1'], /'300\.1\.1\.1' is no address/],
    [['ban', '192.0.2.1', '--for', 'soon'], /--for: 'soon' is no duration/],
    [['explain'], /needs the id of a request/],
    [['rooms', 'nope', 'open'], /nope/],
    [['verify', '--head', 'zz'], /--head: 'zz' is not the beginning of a SHA-256/],
    [['unban', '203.0.113.5'], /Nobody has banned or allowed '203\.0\.113\.5'\./],
    [['unban', '198.51.100.9'], /198\.51\.100\.8\/31 stands in the system file/],
    [['ban', '0.0.0.0/0'], /wider than \/8.*\n.*--yes/],
    [['ban', '127.0.0.1', '--json'], /^$/],
    [['allow', '::/0'], /nearly everybody/],
  ] as const) {
    const { code, error } = await guard(...args)
    assert.notEqual(code, 0)
    assert.match(error, said)
  }
  assert.equal((await guard('unban', '203.0.113.5')).code, 1)
  const nobody = JSON.parse((await guard('unban', '203.0.113.5', '--json')).out) as {
    error: { code: string }
  }
  assert.equal(nobody.error.code, 'GUARD_RULING_MISSING')
  const refused = JSON.parse((await guard('ban', '10.0.0.0/7', '--json')).out) as { error: { code: string } }
  assert.equal(refused.error.code, 'GUARD_RULING_WIDE')
  const { rulings } = JSON.parse((await guard('--json')).out) as GuardView
  assert.deepEqual(rulings, [])
  const port = Number(new URL((await shop.status()).edge.listeners[0]?.url ?? '').port)
  // Its own address is a trusted proxy's here: the connection stays, its requests are refused by what it says.
  const proxy = await RawPeer.connect(port)
  t.after(() => proxy.destroy())
  const ask = async (): Promise<number> => {
    proxy.write('GET /work?id=x HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.5\r\n\r\n')
    return (await proxy.response()).status
  }
  assert.equal(await ask(), 200)
  await guard('ban', '203.0.113.0/24')
  assert.equal(await ask(), 403)
  const inner = await guard('unban', '203.0.113.5')
  assert.match(inner.error, /But 203\.0\.113\.0\/24, which holds it, is banned: name that block/)
  await guard('unban', '203.0.113.0/24')
  assert.equal(await ask(), 200)
  assert.equal((await guard('ban', '0.0.0.0/0', '--for', '1h', '--yes')).code, 0)
  assert.equal(await ask(), 403)
  assert.equal((await guard('unban', '0.0.0.0/0')).code, 0)
  assert.equal(await ask(), 200)
})
