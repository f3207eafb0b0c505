// A load generator with a ledger: clients that each hold one keep-alive connection and ask one thing after another, every
// request with an id of its own, and a record of what came back. Nothing is ever sent twice unless `resend` says so.

import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import type { TestContext } from 'node:test'

export interface Asked {
  readonly id: string
  readonly method: string
  /** The status, or the code of the error that the connection ended with. */
  readonly outcome: number | string
  /** Of the answer's JSON; absent when there was none. */
  readonly instance?: string
  readonly pid?: number
  readonly text: string
  /** Client and connection it went over: `3/51234`. */
  readonly connection: string
}

export interface LoadOptions {
  readonly clients: number
  /** Of client's request number n. */
  readonly ask: (n: number) => { method: string; path: string; body?: string }
  /** Pause between two requests of a client. */
  readonly pauseMs?: number
  /** Sends a failed request again under the same id until it is answered 200. */
  readonly resend?: boolean
}

export interface Load {
  readonly asked: readonly Asked[]
  /** Resolves when that many more have been answered (or have failed). */
  more(count: number): Promise<void>
  /** Lets what is in flight end, closes the connections. */
  stop(): Promise<readonly Asked[]>
}

/** Every third request is a POST, every seventh takes 300 ms. */
export const mixed: LoadOptions['ask'] = n => ({
  method: n % 3 === 0 ? 'POST' : 'GET',
  path: n % 7 === 0 ? '/work?delay=300' : '/work?size=200',
  ...(n % 3 === 0 ? { body: 'something to do' } : {}),
})

let loads = 0
const requestTimeoutMs = 120_000

/** Ends with the test at the latest. */
export function startLoad(t: TestContext, url: string, options: LoadOptions): Load {
  const asked: Asked[] = []
  const name = `${process.pid}-${loads++}`
  let going = true
  const clients = Array.from({ length: options.clients }, (_, client) => run(client))
  t.after(() => {
    going = false
    return Promise.all(clients)
  })

  async function run(client: number): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (let n = 0; going; n++) {
      const wish = options.ask(n)
      const id = `${name}-${client}-${n}`
      let one = await ask(url, agent, { ...wish, id, client })
      asked.push(one)
      while (options.resend && one.outcome !== 200 && going) {
        await pause(50)
        one = await ask(url, agent, { ...wish, id, client })
        asked.push(one)
      }
      await pause(options.pauseMs ?? 3)
    }
    agent.destroy()
  }

  return {
    asked,
    more: async count => {
      const goal = asked.length + count
      const deadlineMs = Date.now() + 2 * requestTimeoutMs
      while (asked.length < goal) {
        assert.ok(Date.now() < deadlineMs, `only ${asked.length} of ${goal} requests ended`)
        await pause(10)
      }
    },
    stop: async () => {
      going = false
      await Promise.all(clients)
      return asked
    },
  }
}

interface Wish {
  readonly id: string
  readonly client: number
  readonly method: string
  readonly path: string
  readonly body?: string
}

function ask(url: string, agent: Agent, { id, client, method, path, body }: Wish): Promise<Asked> {
  return new Promise(resolve => {
    let connection = `${client}/none`
    const done = (outcome: number | string, text = ''): void =>
      resolve({ id, method, outcome, text, connection, ...(outcome === 200 ? answerOf(text) : {}) })
    const target = `${url}${path}${path.includes('?') ? '&' : '?'}id=${id}`
    const headers = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const sent = request(target, { agent, method, headers, timeout: requestTimeoutMs }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => (text += part))
      response.once('end', () => done(response.complete ? (response.statusCode as number) : 'CUT', text))
      response.once('error', (cause: NodeJS.ErrnoException) => done(cause.code ?? cause.message, text))
    })
    sent.once('socket', socket => {
      const name = (): void => void (connection = `${client}/${socket.localPort}`)
      if (socket.localPort === undefined) socket.once('connect', name)
      else name()
    })
    sent.once('timeout', () => sent.destroy(new Error('the test waited in vain')))
    sent.once('error', (cause: NodeJS.ErrnoException) => done(cause.code ?? cause.message))
    sent.end(body)
  })
}

function answerOf(text: string): { instance: string; pid: number } {
  const { instance, pid } = JSON.parse(text) as { instance: string; pid: number }
  return { instance, pid }
}

/** Those that were not answered 200, in words, for the message of an assertion. */
export function failed(asked: readonly Asked[]): string[] {
  return asked
    .filter(one => one.outcome !== 200)
    .map(one => `${one.method} ${one.id}: ${one.outcome} ${one.text.slice(0, 200)}`)
}

/** What the ledger of executions says against what was asked: lost acknowledgements and repetitions. */
export function mismatches(asked: readonly Asked[], executions: ReadonlyMap<string, number>): string[] {
  return asked.flatMap(one => {
    const count = executions.get(one.id) ?? 0
    if (one.outcome === 200 && count !== 1)
      return [`${one.method} ${one.id}: answered, executed ${count} times`]
    if (count > 1) return [`${one.method} ${one.id}: ${one.outcome}, executed ${count} times`]
    return []
  })
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
