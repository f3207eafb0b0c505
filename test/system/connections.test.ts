// Many connections at once, most of them idle, as browsers hold them: they cost little and outlive a rolling restart.

import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { site } from '../tools/system-harness.ts'

const count = 10_000
/** At once on their way; the others wait their turn. */
const wave = 250
const patienceMs = 240_000

class Client {
  readonly #socket: Socket
  readonly #requests: { text: string; resolve: (answer: string) => void }[] = []
  #ended = false

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('latin1').on('data', (text: string) => this.#take(text))
    const end = (): void => {
      this.#ended = true
      for (const one of this.#requests.splice(0)) one.resolve('closed')
    }
    socket.on('error', end).on('close', end)
  }

  #take(text: string): void {
    const one = this.#requests[0]
    if (one === undefined) return
    one.text += text
    const body = one.text.indexOf('\r\n\r\n') + 4
    const length = /content-length: (\d+)/i.exec(one.text.slice(0, body))?.[1]
    if (body < 4 || length === undefined || one.text.length < body + Number(length)) return
    this.#requests.shift()
    one.resolve(one.text.slice(0, 12))
  }

  /** The status line's beginning, or `closed`. */
  ask(): Promise<string> {
    if (this.#ended) return Promise.resolve('closed')
    return new Promise(resolve => {
      this.#requests.push({ text: '', resolve })
      this.#socket.write('GET /work HTTP/1.1\r\nHost: shop\r\n\r\n')
    })
  }

  close(): void {
    this.#socket.destroy()
  }
}

function open(port: number): Promise<Client> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(new Client(socket))
    })
  })
}

async function inWaves<T, R>(items: readonly T[], act: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let at = 0; at < items.length; at += wave) {
    results.push(...(await Promise.all(items.slice(at, at + wave).map(act))))
  }
  return results
}

test('10,000 keep-alive connections are all answered, and again during a rolling restart', {
  timeout: patienceMs,
}, async t => {
  const shop = site(t)
  shop.describe({
    services: { web: shop.service({ instances: { min: 2, max: 2 } }) },
    edge: { limits: { idleTimeout: '10m' } },
  })
  const { status } = await shop.begin()
  const port = status.edge.listeners[0]?.port as number
  const clients = await inWaves(Array.from({ length: count }), () => open(port))
  t.after(() => {
    for (const client of clients) client.close()
  })
  const good = (answers: readonly string[]): number =>
    answers.filter(answer => answer === 'HTTP/1.1 200').length
  assert.equal(good(await inWaves(clients, client => client.ask())), count)
  const { edge } = await shop.status()
  assert.equal(
    edge.workers.reduce((sum, worker) => sum + worker.connections, 0),
    count,
  )

  const [restarted, answers] = await Promise.all([
    shop.run('restart', 'web'),
    inWaves(clients, client => client.ask()),
  ])
  assert.equal(restarted.code, 0, restarted.error)
  assert.equal(good(answers), count)
  const now = await shop.members()
  const old = status.services[0]?.members.map(member => member.pid) ?? []
  assert.ok(now.length === 2 && !now.some(member => old.includes(member.pid)))
})
