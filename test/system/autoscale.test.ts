// A service that follows its load, with real processes and requests: more come when there is more to do, fewer when there is
// less, a supervisor that dies in between changes nothing, and a number set by hand holds.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { failed, mixed, startLoad } from '../tools/load.ts'
import { type Site, site } from '../tools/system-harness.ts'

/** Until so many instances are ready, for a minute at most. */
async function ready(shop: Site, holds: (count: number) => boolean, what: string): Promise<number> {
  const end = Date.now() + 60_000
  for (;;) {
    const count = (await shop.members()).length
    if (holds(count)) return count
    assert.ok(Date.now() < end, `${count} instances, not ${what}, after a minute`)
    await sleep(200)
  }
}

test('instances come with the load and go with it, without a failed request, over the death of the supervisor', async t => {
  const shop = site(t)
  const scale = { rate: '5/s', every: '1s', down: { after: '3s' } }
  shop.describe({ services: { web: shop.service({ instances: { min: 1, max: 4, scale } }) } })
  const { url, child } = await shop.begin()
  assert.equal((await shop.members()).length, 1)
  const load = startLoad(t, url, { clients: 8, ask: mixed })
  const grown = await ready(shop, count => count === 4, 'four')
  assert.equal(grown, 4)
  const end = Date.now() + 60_000
  for (let out = ''; !/scales: rate \d/.test(out); out = (await shop.run('status')).out)
    assert.ok(Date.now() < end, `no reason is shown: ${out}`)
  child.kill('SIGKILL')
  const again = await shop.begin()
  await load.more(200)
  assert.equal((await shop.members()).length, 4, 'the next supervisor takes all of them back')
  const asked = await load.stop()
  assert.deepEqual(failed(asked), [])
  await ready(shop, count => count === 1, 'one')

  const scaled = await shop.run('scale', 'web', '3')
  assert.equal(scaled.code, 0, scaled.error)
  await sleep(6_000)
  assert.equal((await shop.members()).length, 3, 'a number set by hand holds')
  assert.match((await shop.run('status')).out, /scales: set by hand, until the file is applied again/)
  again.child.kill('SIGINT')
  assert.equal(await again.exited, 0)
})
