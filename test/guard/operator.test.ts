// Row 28 of the guard's checklist, as an operator lives it at the command line: look first, see why, exclude narrowly, refuse,
// and be back in a moment. And row 25's other half: what was banned stays so when the supervisor is killed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectTo, type GuardExplanationView, type GuardView } from '../../src/system/index.ts'
import { type Site, settled, site, until } from '../tools/system-harness.ts'

function describe(shop: Site, waf: object, more: object = {}): void {
  shop.configure({
    name: 'shop',
    control: { listen: 0 },
    edge: {
      listen: { http: 0 },
      trustedProxies: ['127.0.0.0/8'],
      routes: [{ path: '/*', to: 'web', guard: 'pages' }],
    },
    guard: { policies: { pages: { waf, ...more } } },
    services: { web: shop.service() },
  })
}

const attack = '/work?bio=%3Cscript%3Ealert(1)%3C/script%3E'

test('row 28: rules only detect, are looked at, one is excluded narrowly, the rest refuses, and a rollback is the way out', async t => {
  const shop = site(t)
  describe(shop, { mode: 'detect' })
  const { url } = await shop.begin()
  await settled(shop, 1)
  const client = connectTo({ file: shop.directory })
  const ask = async (path: string): Promise<{ status: number; id: string }> => {
    const answer = await fetch(`${url}${path}`, { headers: { accept: 'text/html' } })
    await answer.arrayBuffer()
    return { status: answer.status, id: answer.headers.get('x-request-id') ?? '' }
  }
  const view = async (): Promise<GuardView> => client.guard.status()
  const found = async (): Promise<string[]> =>
    (await view()).rules.filter(({ step }) => step === 'waf').map(({ rule }) => rule)

  // Look: everything passes, and what would have been refused is counted by rule.
  const looked = await ask(attack)
  assert.equal(looked.status, 200)
  await until('the findings', async () => (await found()).length > 0)
  assert.ok((await view()).rules.every(({ refused }) => refused === 0))
  const status = await shop.run('guard')
  for (const rule of await found()) assert.ok(status.out.includes(rule), status.out)
  // See why: the rule, what it saw, and what would have passed.
  const why = await shop.run('guard', 'explain', looked.id)
  assert.match(why.out, /would have been refused; the policy only detects/)
  const explained: GuardExplanationView = await client.guard.explain(looked.id)
  const excluded = [...new Set(explained.findings.map(({ rule }) => rule))].filter(rule => /^\d+$/.test(rule))
  assert.ok(excluded.length > 0, JSON.stringify(explained.findings))
  // Exclude what is harmless here, for this one field, and refuse the rest.
  describe(shop, { mode: 'block', exclude: excluded.map(rule => `${rule};ARGS:bio`) })
  assert.equal((await shop.run('reload')).code, 0)
  assert.equal((await ask(attack)).status, 200, 'what was excluded passes')
  assert.equal((await ask(attack.replace('bio', 'name'))).status, 403, 'another field does not')
  // A mistake: everything is refused. One command, and it is as before.
  describe(shop, { mode: 'block' }, { limit: '1/h' })
  assert.equal((await shop.run('reload')).code, 0)
  await ask('/work?id=a')
  assert.equal((await ask('/work?id=b')).status, 429)
  assert.equal((await shop.run('rollback')).code, 0)
  assert.equal((await ask('/work?id=c')).status, 200)
  // What dashboards see: counters by step and rule, and no label that a stranger can make up.
  for (let i = 0; i < 30; i++) await ask(`/made-up-${i}?bio=%3Cscript%3Ealert(${i})%3C/script%3E&x${i}=1`)
  await until('the counters', async () =>
    /guard_requests_total\{policy="pages",verdict="refused"\} [1-9]/.test(await client.metrics()),
  )
  const metrics = await client.metrics()
  assert.match(metrics, /^guard_findings_total\{step="waf",rule="\w+",outcome="(?:refused|detected)"\} \d+$/m)
  assert.match(metrics, /^guard_connections_closed_total\{reason="banned"\} 0$/m)
  assert.match(metrics, /^guard_bans 0$/m)
  assert.match(metrics, /^guard_audit_lines_total\{outcome="written"\} [1-9]\d*$/m)
  const lines = metrics.split('\n').filter(line => line.startsWith('guard_'))
  assert.ok(!lines.some(line => line.includes('made-up')), 'no path becomes a label')
})

test('row 25: a ban by command holds while the supervisor is dead, and when it is back, until it is taken back', async t => {
  const shop = site(t)
  describe(shop, { mode: 'detect' })
  const up = await shop.begin()
  await settled(shop, 1)
  const ask = async (): Promise<number> => {
    const headers = { 'x-forwarded-for': '192.0.2.7' }
    const answer = await fetch(`${up.url}/work?id=${crypto.randomUUID()}`, { headers })
    await answer.arrayBuffer()
    return answer.status
  }
  assert.equal(await ask(), 200)
  assert.equal((await shop.run('guard', 'ban', '192.0.2.0/24')).code, 0)
  assert.equal(await ask(), 403)
  up.child.kill('SIGKILL')
  await up.exited
  assert.equal(await ask(), 403, 'the edge serves on, and knows')
  await shop.begin()
  assert.equal(await ask(), 403)
  const { rulings } = await connectTo({ file: shop.directory }).guard.status()
  assert.deepEqual(
    rulings.map(({ block }) => block),
    ['192.0.2.0/24'],
  )
  assert.equal((await shop.run('guard', 'unban', '192.0.2.0/24')).code, 0)
  assert.equal(await ask(), 200)
})
