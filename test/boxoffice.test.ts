// The example's services by themselves, as a team would start them: real processes and a real PostgreSQL server, no Tenfold
// in between. What they are behind the balancer and the database router is tested with the whole system.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { type PostgresServer, startPostgres } from './tools/postgres-server.ts'

const example = join(import.meta.dirname, '..', 'examples', 'boxoffice')
const children: ChildProcess[] = []
const endings: (() => unknown)[] = []
let said = ''

/** Starts a service on a free port; resolves with its address when it says where it listens. */
function startService(name: string, env: Record<string, string>): Promise<string> {
  const source = `--import=${join(example, 'tenfold-source.mjs')}`
  const child = spawn('node', [source, join(example, name, 'server.mjs')], {
    env: { ...process.env, ...env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  return new Promise((resolve, reject) => {
    let output = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
      output += text
      const port = /on port (\d+)/.exec(output)?.[1]
      if (port) resolve(`http://127.0.0.1:${port}`)
    })
    child.once('exit', code => reject(new Error(`${name} ended with ${code} before it listened: ${said}`)))
  })
}

async function endAll(): Promise<(number | null)[]> {
  const codes = children.map(
    child =>
      new Promise<number | null>(resolve => {
        if (child.exitCode !== null) resolve(child.exitCode)
        child.once('exit', resolve)
      }),
  )
  for (const child of children) child.kill('SIGTERM')
  return Promise.all(codes)
}

let server: PostgresServer
let sql: pg.Client
let api = ''
let otherApi = ''
let web = ''
before(async () => {
  server = await startPostgres({ after: fn => void endings.push(fn as () => unknown) })
  sql = new pg.Client({ connectionString: server.url })
  await sql.connect()
  // As the service's own role would be: an ordinary user that owns its database.
  const env = { DATABASE_URL: server.url.replace('tenfold:', 'app:') }
  const starts = Promise.all([startService('api', env), startService('api', env)])
  ;[api, otherApi] = await starts
  web = await startService('web', { API_URL: api })
})
after(async () => {
  const codes = await endAll()
  await sql.end()
  for (const end of endings) await end()
  assert.deepEqual(codes, [0, 0, 0], `all end by themselves on TERM: ${said}`)
})

interface Film {
  readonly id: string
  readonly title: string
  readonly year: number | null
}
interface Found {
  readonly films: readonly Film[]
  readonly total: number
  readonly page: number
  readonly pages: number
}

async function json<T>(path: string): Promise<T> {
  const response = await fetch(`${api}${path}`)
  assert.equal(response.status, 200, path)
  return (await response.json()) as T
}

test('instances that start at the same moment make the tables once', async () => {
  const { rows } = await sql.query('SELECT file FROM migrations ORDER BY file')
  const files = rows.map(row => row.file)
  assert.deepEqual(files, ['001-films.sql', '002-film-list.mjs', '003-box-office.sql', '004-premiere.sql'])
  for (const file of files) assert.equal(said.split(`${file} was applied`).length, 2, said)
})

test('the whole list is there, and its dirt is mended', async () => {
  const everything = await json<Found>('/films?size=1')
  assert.equal(everything.total, 3201)
  const numeric = await json<Found>('/films?q=1776')
  assert.ok(numeric.films.some(film => film.title === '1776'))
  const accents = await json<Found>('/films?q=leon&size=5')
  assert.equal(accents.films[0]?.title, 'Léon')
  const oldest = await json<Found>('/films?sort=oldest&size=3')
  assert.deepEqual(
    oldest.films.map(film => film.year),
    [1915, 1916, 1916],
  )
  const newest = await json<Found>('/films?sort=newest&size=1')
  assert.ok(newest.films[0]!.year! <= 2011)
})

test('pages hold different films, and a page beyond the last is the last', async () => {
  const first = await json<Found>('/films?genre=Western&size=20&page=1')
  const beyond = await json<Found>('/films?genre=Western&size=20&page=999')
  assert.equal(beyond.page, first.pages)
  assert.equal(new Set([...first.films, ...beyond.films].map(film => film.id)).size, first.total)
})

interface Screenings {
  readonly screenings: readonly { readonly id: string }[]
}
interface Seats {
  readonly screening: {
    readonly taken: readonly string[]
    readonly rows: readonly string[]
    readonly seatsPerRow: number
  }
}

async function freeSeats(path: string): Promise<string[]> {
  const { screening } = await json<Seats>(path)
  const all = screening.rows.flatMap(row =>
    Array.from({ length: screening.seatsPerRow }, (_, index) => `${row}${index + 1}`),
  )
  return all.filter(seat => !screening.taken.includes(seat))
}

function order(
  path: string,
  seats: readonly string[],
  key?: string,
  through: string = api,
): Promise<Response> {
  return fetch(`${through}${path}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ seats, name: 'Ann', email: 'ann@example.org', ...(key ? { key } : {}) }),
  })
}

async function screeningOf(film: string): Promise<string> {
  const { screenings } = await json<Screenings>(`/films/${film}`)
  return `/films/${film}/screenings/${screenings.at(-1)!.id}`
}

test('a seat is sold once, however many want it at the same moment', async () => {
  const path = await screeningOf('gladiator-2000')
  const [seat] = await freeSeats(path)
  const answers = await Promise.all(Array.from({ length: 20 }, () => order(path, [seat!])))
  const statuses = answers.map(answer => answer.status).sort()
  assert.deepEqual(statuses, [201, ...Array.from({ length: 19 }, () => 409)])
  assert.ok(!(await freeSeats(path)).includes(seat!))
})

interface Answered {
  readonly order: { readonly id: string; readonly seats: readonly string[] }
}

/** What the database says was sold for a screening: seat to order. */
async function ledgerOf(path: string): Promise<Map<string, string>> {
  const [, , film, , screening] = path.split('/')
  const text = 'SELECT seat, order_id FROM sold_seats WHERE film = $1 AND screening = $2'
  const { rows } = await sql.query(text, [film, screening])
  return new Map(rows.map(row => [row.seat, row.order_id]))
}

/** Acknowledged orders by seat; fails when a seat was acknowledged twice. */
async function soldBy(answers: readonly Response[]): Promise<Map<string, string>> {
  const sold = new Map<string, string>()
  for (const answer of answers.filter(one => one.ok)) {
    const { order } = (await answer.json()) as Answered
    for (const seat of order.seats) {
      assert.ok(!sold.has(seat) || sold.get(seat) === order.id, `${seat} was sold twice`)
      sold.set(seat, order.id)
    }
  }
  return sold
}

test('200 buyers want the same seats through two instances, and each seat is sold once or not at all', async () => {
  const path = await screeningOf('titanic-1997')
  const free = (await freeSeats(path)).slice(0, 24)
  // Pairs and triples that overlap, named in different orders: what could deadlock or sell half an order.
  const wishes = Array.from({ length: 200 }, (_, buyer) => {
    const seats = [0, 5, 11].slice(0, 2 + (buyer % 2)).map(step => free[(buyer * 7 + step) % 24]!)
    return buyer % 3 === 0 ? seats : seats.reverse()
  })
  const answers = await Promise.all(
    wishes.map((seats, buyer) => order(path, seats, undefined, buyer % 2 === 0 ? api : otherApi)),
  )
  for (const answer of answers) assert.ok([201, 409].includes(answer.status), String(answer.status))
  const sold = await soldBy(answers)
  assert.ok(sold.size > 0)
  assert.deepEqual(new Map([...(await ledgerOf(path))].sort()), new Map([...sold].sort()))
  const { rows } = await sql.query(
    'SELECT count(*)::int AS orders FROM orders WHERE NOT EXISTS (SELECT FROM sold_seats WHERE order_id = orders.id)',
  )
  assert.equal(rows[0].orders, 0, 'an order without seats was left behind')
})

test('connections that are cut while people buy lose no order, and sell none twice', async () => {
  const path = await screeningOf('avatar-2009')
  const free = await freeSeats(path)
  let buying = true
  const cut = async (): Promise<number> => {
    let cuts = 0
    while (buying) {
      const { rowCount } = await sql.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'",
      )
      cuts += rowCount ?? 0
      await new Promise(done => setTimeout(done, 50))
    }
    return cuts
  }
  const cutting = cut()
  const answers: Response[] = []
  for (let from = 0; from < free.length; from += 8) {
    const wave = free
      .slice(from, from + 8)
      .flatMap(seat => [
        order(path, [seat], `first-wish-${seat}`),
        order(path, [seat], `other-wish-${seat}`, otherApi),
      ])
    answers.push(...(await Promise.all(wave)))
  }
  buying = false
  assert.ok((await cutting) > 0, 'no connection was cut')
  const unclear = answers.filter(answer => ![200, 201, 409].includes(answer.status)).length
  const sold = await soldBy(answers)
  const ledger = await ledgerOf(path)
  for (const [seat, id] of sold) assert.equal(ledger.get(seat), id, `the order of ${seat} is lost`)
  assert.ok(ledger.size - sold.size <= unclear, 'more seats are sold than somebody was told')
})

test('a key belongs to the screening that it was used for', async () => {
  const path = await screeningOf('the-matrix-1999')
  const other = await screeningOf('jaws-1975')
  const [seat] = await freeSeats(path)
  const [elsewhere] = await freeSeats(other)
  assert.equal((await order(path, [seat!], 'key-of-two-films')).status, 201)
  const answer = await order(other, [elsewhere!], 'key-of-two-films')
  assert.equal(answer.status, 409)
  assert.match(((await answer.json()) as { error: { message: string } }).error.message, /another screening/)
  assert.ok((await freeSeats(other)).includes(elsewhere!), 'the refused order left a seat sold')
})

test('the same order sent twice is one order', async () => {
  const path = await screeningOf('the-matrix-1999')
  const [seat] = await freeSeats(path)
  const first = await order(path, [seat!], 'key-of-this-test')
  const second = await order(path, [seat!], 'key-of-this-test')
  assert.deepEqual([first.status, second.status], [201, 200])
  assert.deepEqual(await second.json(), await first.json())
})

test('wrong orders are refused with a sentence', async () => {
  const path = await screeningOf('the-matrix-1999')
  const cases: [readonly string[], RegExp][] = [
    [[], /at least one seat/],
    [['Z99'], /no seat Z99/],
    [['A1', 'A2', 'A3', 'A4', 'A5', 'A6', 'A7', 'A8', 'A9'], /At most 8/],
  ]
  for (const [seats, sentence] of cases) {
    const answer = await order(path, seats)
    assert.equal(answer.status, 400)
    assert.match(((await answer.json()) as { error: { message: string } }).error.message, sentence)
  }
})

test('who looks at a seat map is told of seats that others buy through another instance', async () => {
  const path = await screeningOf('forrest-gump-1994')
  const stream = await fetch(`${api}${path}/events`)
  const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader()
  const [seat] = await freeSeats(path)
  let seen = (await reader.read()).value ?? ''
  await order(path, [seat!], undefined, otherApi)
  while (!seen.includes(`"${seat}"`)) {
    const { value, done } = await reader.read()
    assert.ok(!done, `the stream ended after: ${seen}`)
    seen += value
  }
  await reader.cancel()
})

test('the shop works without JavaScript: list, film, seats, order, tickets', async () => {
  const list = await (await fetch(`${web}/?q=shawshank`)).text()
  const film = /href="(\/films\/[^"]+)"/.exec(list)?.[1]
  assert.ok(film, 'the list links to the film')
  const screening = /href="([^"]+\/screenings\/[^"]+)"/.exec(await (await fetch(`${web}${film}`)).text())?.[1]
  const seats = await (await fetch(`${web}${screening}`)).text()
  const seat = /value="([A-H]\d+)"><span/.exec(seats)?.[1]
  const key = /name="key" value="([^"]+)"/.exec(seats)?.[1]
  assert.ok(seat && key, 'the page has a free seat and a key')
  const bought = await fetch(`${web}${screening}/orders`, {
    method: 'POST',
    body: new URLSearchParams({ seat, key, name: '<b>Ann</b>', email: 'ann@example.org' }),
  })
  assert.equal(bought.status, 200)
  assert.match(bought.url, /\/orders\//)
  const tickets = await bought.text()
  assert.ok(
    tickets.includes(seat) && tickets.includes('&lt;b&gt;Ann&lt;/b&gt;') && !tickets.includes('<b>Ann'),
  )
})

test('what is not there is a page with the right status, and another site can not order', async () => {
  assert.equal((await fetch(`${web}/films/never-made-1900`)).status, 404)
  assert.equal((await fetch(`${web}/nowhere`)).status, 404)
  const path = await screeningOf('the-matrix-1999')
  const foreign = await fetch(`${web}${path}/orders`, {
    method: 'POST',
    headers: { 'sec-fetch-site': 'cross-site' },
    body: new URLSearchParams({ seat: 'A1', name: 'Ann', email: 'ann@example.org', key: 'foreign-key' }),
  })
  assert.equal(foreign.status, 403)
})
