// The example over shards: films everywhere, and each film's screenings, orders and seats on one shard. People buy seats of films
// that lie on two, which become four meanwhile: whoever was told of an order has it, and nobody has another's seat.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { DatabaseView } from '../src/system/control/views.ts'
import { copyBoxoffice } from './tools/boxoffice.ts'
import { type Site, site, until } from './tools/system-harness.ts'

async function json<T>(url: string): Promise<T> {
  const response = await fetch(url)
  assert.equal(response.status, 200, `${url}: ${await response.clone().text()}`)
  return (await response.json()) as T
}

async function databases(shop: Site): Promise<readonly DatabaseView[]> {
  return (await shop.status()).databases
}

interface Bought {
  readonly film: string
  readonly screening: string
  readonly seat: string
  readonly id: string
}

test('people buy while two shards become four: every order is kept, no seat is sold twice', async t => {
  const shop = site(t)
  const url = await copyBoxoffice(shop, { BOXOFFICE_GUARD: 'off', BOXOFFICE_SHARDS: '2' })
  const file = join(shop.directory, 'tenfold.config.mjs')
  const configure = (count: number): void =>
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace(/"BOXOFFICE_SHARDS":"\d+"/, `"BOXOFFICE_SHARDS":"${count}"`),
    )
  await shop.begin()
  const api = `${url}/api`
  const groups = (await databases(shop)).map(one => one.name).filter(name => name.startsWith('main-s'))
  assert.deepEqual(groups.sort(), ['main-s1', 'main-s2'])

  const { films } = await json<{ films: { id: string }[] }>(`${api}/films`)
  const shown = films.slice(0, 6).map(({ id }) => id)
  const screenings = new Map<string, string>()
  for (const film of shown) {
    const { screenings: all } = await json<{ screenings: { id: string }[] }>(`${api}/films/${film}`)
    screenings.set(film, all[0]?.id as string)
  }

  const bought: Bought[] = []
  const answers = new Map<number, number>()
  const buy = async (buyer: number, film: string, seat: string): Promise<void> => {
    const screening = screenings.get(film) as string
    const response = await fetch(`${api}/films/${film}/screenings/${screening}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        seats: [seat],
        name: 'Ann',
        email: 'ann@example.org',
        key: `buyer-${buyer}-${shown.indexOf(film)}-${seat}`,
      }),
    })
    answers.set(response.status, (answers.get(response.status) ?? 0) + 1)
    if (!response.ok) return void (await response.arrayBuffer())
    const { order } = (await response.json()) as { order: { id: string } }
    bought.push({ film, screening, seat, id: order.id })
  }
  // Three people who all want the same seats, and go on until the shards are four.
  let first = false
  let goesOn = true
  const buyers = [0, 1, 2].map(async buyer => {
    for (let number = 0; goesOn && number < 96; number++) {
      for (const film of shown)
        await buy(buyer, film, `${'ABCDEFGH'[number % 8]}${((4 + Math.floor(number / 8)) % 12) + 1}`)
      first ||= number > 5
    }
  })
  const all = Promise.all(buyers)
  await until('people buy', () => first)
  configure(4)
  const reload = await shop.run('reload')
  assert.equal(reload.code, 0, reload.out + reload.error)
  const more = await shop.run('db', 'reshard', 'main')
  assert.equal(more.code, 0, more.out + more.error)
  t.diagnostic(more.out.match(/clients waited for \d+ ms.*/)?.[0] ?? '')
  const finished = await shop.run('db', 'reshard', 'main', '--finish')
  assert.equal(finished.code, 0, finished.out + finished.error)
  goesOn = false
  await all
  t.diagnostic(`answers: ${JSON.stringify([...answers])}; ${bought.length} orders`)
  assert.deepEqual(
    [...answers.keys()].filter(status => ![200, 201, 409].includes(status)),
    [],
    'people saw an error',
  )
  assert.ok(bought.length > 20, `only ${bought.length} were bought`)

  const places = bought.map(({ film, screening, seat }) => `${film} ${screening} ${seat}`)
  assert.equal(new Set(places).size, places.length, 'a seat was sold twice')
  for (const { film, seat, id } of bought) {
    const { order } = await json<{ order: { seats: string[] } }>(`${api}/films/${film}/orders/${id}`)
    assert.deepEqual(order.seats, [seat])
  }
  for (const film of shown) {
    const screening = screenings.get(film) as string
    const page = await json<{ screening: { taken: string[] } }>(
      `${api}/films/${film}/screenings/${screening}`,
    )
    for (const one of bought)
      if (one.film === film) assert.ok(page.screening.taken.includes(one.seat), `${film} ${one.seat}`)
  }
  // What the shards have together is all that was told, once.
  const ran = await shop.run('db', 'shards', 'main', '--json')
  assert.equal(ran.code, 0, ran.error)
  const view = JSON.parse(ran.out) as { shards: { tables: { table: string; rows: number }[] }[] }
  const counts = view.shards.map(
    ({ tables }) => tables.find(one => one.table === 'public.orders')?.rows ?? -1,
  )
  assert.ok(counts.length === 4 && counts.filter(one => one > 0).length > 1, `orders by shard: ${counts}`)
  assert.equal(
    counts.reduce((sum, one) => sum + one, 0),
    bought.length,
  )
})
