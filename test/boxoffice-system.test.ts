// The example as `npm start` runs it: edge, services, router, a primary and two replicas. People buy while the primary is
// killed: whoever was told of an order has it, and nobody has another's seat.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DatabaseView } from '../src/system/control/views.ts'
import { copyBoxoffice } from './tools/boxoffice.ts'
import { type Site, site, until } from './tools/system-harness.ts'

async function startExample(t: TestContext): Promise<{ shop: Site; api: string }> {
  const shop = site(t)
  // Six people here buy hundreds of seats as fast as they can, which is what its guard is there to refuse.
  const url = await copyBoxoffice(shop, { BOXOFFICE_GUARD: 'off' })
  await shop.begin()
  return { shop, api: `${url}/api` }
}

interface Screening {
  readonly screening: {
    readonly taken: readonly string[]
    readonly rows: readonly string[]
    readonly seatsPerRow: number
  }
}

async function main(shop: Site): Promise<DatabaseView> {
  const found = (await shop.status()).databases.find(one => one.name === 'main')
  assert.ok(found)
  return found
}

async function json<T>(url: string): Promise<T> {
  const response = await fetch(url)
  assert.equal(response.status, 200, `${url}: ${await response.clone().text()}`)
  return (await response.json()) as T
}

async function takenAt(path: string): Promise<Set<string>> {
  return new Set((await json<Screening>(path)).screening.taken)
}

test('the primary is killed while people buy: no acknowledged order is lost, no seat is sold twice', async t => {
  const { shop, api } = await startExample(t)
  const { screenings } = await json<{ screenings: { id: string }[] }>(`${api}/films/titanic-1997`)
  assert.ok(screenings.length > 1)
  const acknowledged = new Map<string, string>()
  const answers = new Map<number, number>()
  let buying = true

  const order = async (path: string, seat: string, key: string): Promise<void> => {
    const response = await fetch(`${path}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ seats: [seat], name: 'Ann', email: 'ann@example.org', key }),
    })
    answers.set(response.status, (answers.get(response.status) ?? 0) + 1)
    if (!response.ok) return void (await response.arrayBuffer())
    const body = (await response.json()) as { order: { id: string } }
    const place = `${path} ${seat}`
    assert.equal(acknowledged.get(place), undefined, `${place} was sold twice`)
    acknowledged.set(place, body.order.id)
  }
  const buyers = Array.from({ length: 6 }, async (_, buyer) => {
    for (const { id } of screenings) {
      const path = `${api}/films/titanic-1997/screenings/${id}`
      for (let number = 1; buying && number <= 96; number++) {
        const seat = `${'ABCDEFGH'[(number - 1) % 8]}${Math.ceil(number / 8)}`
        await order(path, seat, `buyer-${buyer}-${id}-${seat}`)
        // Who was told of an order sees its seat sold, whichever instance and replica answers.
        if (number % 8 === 0 && acknowledged.has(`${path} ${seat}`))
          assert.ok((await takenAt(path)).has(seat), `${seat} was sold, and a page did not know it`)
      }
    }
  })
  const all = Promise.all(buyers)

  await until('some orders are acknowledged', () => acknowledged.size > 30)
  const before = await main(shop)
  const primary = before.servers.find(one => one.role === 'primary')
  assert.ok(primary?.pid)
  process.kill(primary.pid, 'SIGKILL')
  await until('there is another primary', async () => (await main(shop)).epoch > before.epoch)
  const sold = acknowledged.size
  await until('people buy again', () => acknowledged.size > sold + 20 || screenings.length * 50 < sold)
  buying = false
  await all

  const unclear = [...answers].filter(([status]) => ![200, 201, 409].includes(status))
  t.diagnostic(`answers: ${JSON.stringify([...answers])}; ${acknowledged.size} orders`)
  for (const [place, id] of acknowledged) {
    const [path = '', seat = ''] = place.split(' ')
    const { order: kept } = await json<{ order: { id: string; seats: string[] } }>(
      `${path.replace(/\/screenings\/.*/, '')}/orders/${id}`,
    )
    assert.deepEqual(kept.seats, [seat], `the order of ${place} is lost`)
  }
  assert.deepEqual(unclear, [], 'people saw an error')
  await until('the killed server is back as a replica', async () => {
    await sleep(100)
    return (await main(shop)).servers.every(one => one.state === 'ready')
  })
})
