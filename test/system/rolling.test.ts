// What operators do while people are using the site: restart and scale. Nobody may notice.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failed, mismatches, mixed, startLoad } from '../tools/load.ts'
import { settled, site } from '../tools/system-harness.ts'

test('a rolling restart under load fails no request and executes each one exactly once', async t => {
  const shop = site(t)
  shop.describe({ services: { web: shop.service({ instances: { min: 3, max: 6 } }) } })
  const { url, child, exited } = await shop.begin()
  const before = await shop.members()
  const load = startLoad(t, url, { clients: 16, ask: mixed })
  await load.more(200)
  const restarted = await shop.run('restart', 'web')
  assert.equal(restarted.code, 0, restarted.error)
  await load.more(200)

  const after = await shop.members()
  assert.equal(after.length, 3)
  const old = new Set(before.map(member => member.pid))
  assert.ok(!after.some(member => old.has(member.pid)), 'every instance was replaced')

  for (const count of ['6', '3']) {
    const scaled = await shop.run('scale', 'web', count)
    assert.equal(scaled.code, 0, scaled.error)
    await settled(shop, Number(count))
    await load.more(200)
  }
  const asked = await load.stop()
  assert.deepEqual(failed(asked), [])
  assert.deepEqual(mismatches(asked, shop.executions()), [])
  assert.ok(new Set(asked.map(one => one.pid)).size >= 9, 'instances of every stage have served')
  child.kill('SIGINT')
  assert.equal(await exited, 0)
})
