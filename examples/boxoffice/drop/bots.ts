// Bots, of ten kinds that sell tickets on. None of them sleeps longer than it must; each stops when it is all over, or when it
// has sent `asksMax` requests. What they know of the shop is what anybody can read.

import { type Answer, type Client, type ClientOptions, ordersPath } from './client.ts'
import { buy, comeIn, type Life, laterMs, seatsPath, toldBy } from './line.ts'
import { signIn } from './people.ts'

const asksMax = 120
/** The most that one order may have: no bot wants less. */
const wants = 4
const startAheadMs = 1_000

export interface Bot {
  readonly client: Client
  readonly life: Life
  /** Of its account; several bots may share it. */
  readonly name: string
  readonly opensAt: number
  readonly lined: boolean
  /** Another client with the same account, from another address. */
  readonly another: () => Client
}

/** How one kind behaves; gives the seats that it got. */
export type Kind = (bot: Bot) => Promise<number>

export interface KindOfBot {
  readonly name: string
  readonly what: string
  /** Of all bots, per mille. */
  readonly share: number
  readonly agent: ClientOptions['agent']
  /** So many share an account. */
  readonly perAccount: number
  /** So many share an address. */
  readonly perAddress: number
  readonly solves: boolean
  readonly run: Kind
}

const idle = (life: Life): Promise<void> => life.sleep(50 + 100 * life.random())

/** Until it opens; a script is awake a little before. */
async function rise({ life, opensAt, lined }: Bot): Promise<void> {
  if (!lined) await life.sleep(opensAt - startAheadMs - Date.now())
}

/** In line like a browser, and buys until it is told that it has enough. */
async function queueAndBuy(bot: Bot): Promise<number> {
  const { client, life } = bot
  await signIn(client, life, bot.name)
  await rise(bot)
  let got = 0
  for (let round = 0; round < 4 && !life.over(); round++) {
    if ((await comeIn(client, life)) !== 'in') break
    const seats = await buyAll(bot)
    got += seats
    if (seats === 0) break
  }
  return got
}

async function buyAll({ client, life, lined }: Bot): Promise<number> {
  const tries = lined ? [wants, 2, 1] : Array.from({ length: asksMax }, () => wants)
  let got = 0
  for (const seats of tries) {
    if (life.over()) break
    got += await buy(client, life, seats)
    if (!lined && got === 0) await idle(life)
  }
  return got
}

/** Seats of an order that was answered in JSON. */
const seatsIn = (answer: Answer): number =>
  answer.status === 201 ? (JSON.parse(answer.text) as { order: { seats: string[] } }).order.seats.length : 0

async function order(
  client: Client,
  seats: number,
  fields: Readonly<Record<string, string>>,
): Promise<Answer> {
  return client.ask(ordersPath, { json: { seats, key: crypto.randomUUID() }, script: true, fields })
}

/** Orders at the address that the form has, without ever seeing a page; shows the token that it is given. */
async function direct(bot: Bot): Promise<number> {
  const { client, life } = bot
  await signIn(client, life, bot.name)
  await rise(bot)
  let token = ''
  let got = 0
  for (let asks = 0; asks < asksMax && !life.over(); asks++) {
    const answer = await order(client, got === 0 ? wants : 2, token === '' ? {} : { 'Tenfold-Room': token })
    got += seatsIn(answer)
    if (answer.status >= 400 || answer.status === 0) life.refused(answer)
    const { room } = toldBy(answer) as { room?: { token?: string; state: string } }
    token = room?.token ?? String(answer.head['tenfold-room'] ?? token)
    if (room?.state === 'sold-out') break
    // It does not care when it was told to come again.
    if (answer.status !== 201 && room?.state !== 'granted') await life.sleep(700 + 600 * life.random())
  }
  return got
}

/** Keeps no cookie, so it is nobody each time. */
async function withoutCookies(bot: Bot): Promise<number> {
  const { client, life } = bot
  client.keepsCookies = false
  await rise(bot)
  for (let asks = 0; asks < asksMax / 2 && !life.over(); asks++) {
    const answer = asks % 2 === 0 ? await client.ask(seatsPath) : await order(client, wants, {})
    if (answer.status >= 400 || answer.status === 0) life.refused(answer)
    await life.sleep(500 + 500 * life.random())
  }
  return 0
}

/** Gets one grant, and shows it from ten addresses at once. */
async function replay(bot: Bot): Promise<number> {
  const { client, life } = bot
  await signIn(client, life, bot.name)
  await rise(bot)
  let got = 0
  for (let asks = 0; asks < 40 && !life.over(); asks++) {
    const answer = await order(client, wants, {})
    got += seatsIn(answer)
    if (answer.status >= 400) life.refused(answer)
    const { room } = toldBy(answer) as { room?: { token?: string; state: string } }
    if (room?.state === 'granted' && room.token) got += await showEverywhere(bot, room.token)
    if (room?.state === 'sold-out') break
    await life.sleep(room === undefined ? laterMs(answer) : 1_000)
  }
  return got
}

async function showEverywhere({ client, life, another }: Bot, token: string): Promise<number> {
  const others = Array.from({ length: 10 }, () => another())
  for (const other of others) for (const [name, value] of client.cookies) other.cookies.set(name, value)
  const answers = await Promise.all(others.map(other => order(other, 2, { 'Tenfold-Room': token })))
  for (const answer of answers) if (answer.status >= 400) life.refused(answer)
  return answers.reduce((sum, answer) => sum + seatsIn(answer), 0)
}

/** Writes its own place, its own account and its own address. */
async function forge(bot: Bot): Promise<number> {
  const { client, life } = bot
  await signIn(client, life, bot.name)
  await rise(bot)
  let got = 0
  for (let asks = 0; asks < asksMax / 3 && !life.over(); asks++) {
    const claims = Buffer.from(JSON.stringify({ k: 2, i: asks, n: 1, c: asks, b: 0 })).toString('base64url')
    const person = Buffer.from(JSON.stringify({ sub: `anybody-${asks}`, name: 'x' })).toString('base64url')
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    if (asks % 2 === 0) client.cookies.set('boxoffice', `${none}.${person}.`)
    const answer = await order(client, wants, {
      'Tenfold-Room': `v1.${claims}.${'z'.repeat(8)}.${'A'.repeat(43)}`,
      'X-Forwarded-For': `10.0.${asks % 256}.7`,
    })
    got += seatsIn(answer)
    if (answer.status >= 400 || answer.status === 0) life.refused(answer)
    await life.sleep(600 + 600 * life.random())
  }
  return got
}

/** Loads the page again and again, as fast as it is answered, and buys when there is a form. */
async function hammer(bot: Bot): Promise<number> {
  const { client, life } = bot
  await signIn(client, life, bot.name)
  await life.sleep(bot.opensAt - startAheadMs - Date.now())
  let got = 0
  for (let asks = 0; asks < asksMax * 2 && !life.over(); asks++) {
    const answer = await client.ask(seatsPath)
    if (answer.status >= 400 || answer.status === 0) life.refused(answer)
    const inside = answer.status === 200 && answer.head['tenfold-room'] === undefined
    if (inside) got += await buyAll(bot)
    if (answer.status === 0) await idle(life)
  }
  return got
}

/** Shares add up to 1,000. */
export const kindsOfBots: readonly KindOfBot[] = [
  {
    name: 'tabs',
    what: '20 tabs of one browser and account',
    share: 200,
    agent: 'chrome',
    perAccount: 20,
    perAddress: 20,
    solves: false,
    run: queueAndBuy,
  },
  {
    name: 'farm',
    what: '100 accounts behind one address',
    share: 200,
    agent: 'chrome',
    perAccount: 1,
    perAddress: 100,
    solves: false,
    run: queueAndBuy,
  },
  {
    name: 'direct',
    what: 'orders by JSON, no page; from a data centre',
    share: 150,
    agent: 'python',
    perAccount: 20,
    perAddress: 10,
    solves: false,
    run: direct,
  },
  {
    name: 'no-cookies',
    what: 'keeps no cookies',
    share: 100,
    agent: 'chrome',
    perAccount: 1,
    perAddress: 1,
    solves: false,
    run: withoutCookies,
  },
  {
    name: 'hammer',
    what: 'reloads as fast as it can; 10 of them share an account',
    share: 100,
    agent: 'firefox',
    perAccount: 10,
    perAddress: 1,
    solves: false,
    run: hammer,
  },
  {
    name: 'headless',
    what: 'browser without a window, from a data centre',
    share: 100,
    agent: 'headless',
    perAccount: 4,
    perAddress: 10,
    solves: false,
    run: queueAndBuy,
  },
  {
    name: 'replay',
    what: 'one grant shown from 10 addresses',
    share: 50,
    agent: 'python',
    perAccount: 10,
    perAddress: 1,
    solves: false,
    run: replay,
  },
  {
    name: 'forger',
    what: 'forged places, accounts, addresses',
    share: 50,
    agent: 'python',
    perAccount: 20,
    perAddress: 1,
    solves: false,
    run: forge,
  },
  {
    name: 'solver',
    what: 'headless, but pays for the proof of work',
    share: 20,
    agent: 'headless',
    perAccount: 1,
    perAddress: 1,
    solves: true,
    run: queueAndBuy,
  },
  {
    name: 'like-people',
    what: "a browser's fields, an account and an address each",
    share: 30,
    agent: 'chrome',
    perAccount: 1,
    perAddress: 1,
    solves: true,
    run: queueAndBuy,
  },
]
