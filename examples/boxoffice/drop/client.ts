// One client of the crowd: an address of its own (127/8), fields in the order of the browser it claims to be, cookies. Sends
// what it is told to, one connection a request, as many at once as its lane lets; never decides anything.

import { type IncomingMessage, request as send } from 'node:http'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'

export const ordersPath = '/premiere/orders'
const answerTimeoutMs = 30_000
const bodyBytesMax = 256 * 1024

/** So many requests at once; others wait for their turn in the order in which they came, orders before everything else. */
export class Lane {
  readonly #orders: (() => void)[] = []
  readonly #others: (() => void)[] = []
  #free: number
  constructor(width: number) {
    this.#free = width
  }
  async run<T>(work: () => Promise<T>, isOrder: boolean): Promise<T> {
    const waiting = isOrder ? this.#orders : this.#others
    if (this.#free > 0) this.#free--
    else await new Promise<void>(resolve => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#orders.shift() ?? this.#others.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }
}

export type Agent = 'chrome' | 'firefox' | 'headless' | 'python'

export interface ClientOptions {
  readonly url: URL
  readonly address: string
  readonly agent: Agent
  readonly lane: Lane
  /** Versions differ from client to client. */
  readonly version: number
}

export interface Answer {
  /** 0: none came. */
  readonly status: number
  readonly head: IncomingMessage['headers']
  readonly text: string
  /** Of a refusal: what the guard, or the shop, calls it. '' for others. */
  readonly code: string
}

export interface Wish {
  readonly method?: 'GET' | 'POST'
  readonly form?: Readonly<Record<string, string>>
  readonly json?: unknown
  /** As a script asks, not as a page is loaded. */
  readonly script?: boolean
  readonly fields?: Readonly<Record<string, string>>
}

const noAnswer: Answer = { status: 0, head: {}, text: '', code: 'NO_ANSWER' }

export class Client {
  readonly options: ClientOptions
  readonly cookies: Map<string, string> = new Map()
  keepsCookies = true
  onAsk: () => void = () => {}

  constructor(options: ClientOptions) {
    this.options = options
  }

  async ask(path: string, wish: Wish = {}): Promise<Answer> {
    this.onAsk()
    const answer = await this.options.lane.run(() => this.#send(path, wish), path === ordersPath)
    if (this.keepsCookies) this.#keep(answer.head['set-cookie'] ?? [])
    return answer
  }

  #keep(lines: readonly string[]): void {
    for (const line of lines) {
      const [pair = '', ...rest] = line.split(';')
      const at = pair.indexOf('=')
      const ended = rest.some(part => part.trim() === 'Max-Age=0')
      if (ended) this.cookies.delete(pair.slice(0, at))
      else this.cookies.set(pair.slice(0, at), pair.slice(at + 1))
    }
  }

  #send(path: string, wish: Wish): Promise<Answer> {
    const { url, address } = this.options
    const body = bodyOf(wish)
    return new Promise(resolve => {
      const sent = send(
        {
          host: url.hostname,
          port: url.port,
          path,
          method: wish.method ?? (body === '' ? 'GET' : 'POST'),
          localAddress: address,
          agent: false,
          headers: this.#fields(wish, body),
          timeout: answerTimeoutMs,
        },
        response => void readAnswer(response).then(resolve, () => resolve(noAnswer)),
      )
      sent.on('timeout', () => sent.destroy(new Error('no answer in time')))
      sent.on('error', () => resolve(noAnswer))
      sent.end(body)
    })
  }

  /** Names and values in turn: their order and case are part of who one seems to be. */
  #fields(wish: Wish, body: string): string[] {
    const { url, agent, version } = this.options
    const cookie = [...this.cookies].map(pair => pair.join('=')).join('; ')
    const given = { host: url.host, origin: url.origin, cookie, body, wish, version }
    return [
      ...orders[agent](given).filter(([, value]) => value !== ''),
      ...Object.entries(wish.fields ?? {}),
    ].flat()
  }
}

interface Given {
  readonly host: string
  readonly origin: string
  readonly cookie: string
  readonly body: string
  readonly wish: Wish
  readonly version: number
}
type Fields = readonly (readonly [string, string])[]

const lengthOf = (body: string): string => (body === '' ? '' : String(Buffer.byteLength(body)))
const typeOf = ({ body, wish }: Given): string =>
  body === '' ? '' : wish.json === undefined ? 'application/x-www-form-urlencoded' : 'application/json'
const pageTypes = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'

function chromeFields(given: Given, name: string): Fields {
  const { host, origin, cookie, body, wish, version } = given
  const script = wish.script === true
  return [
    ['Host', host],
    ['Connection', 'keep-alive'],
    ['Content-Length', lengthOf(body)],
    ['sec-ch-ua', `"Chromium";v="${version}", "Google Chrome";v="${version}", "Not?A_Brand";v="24"`],
    ['sec-ch-ua-mobile', '?0'],
    ['sec-ch-ua-platform', '"Windows"'],
    ['Origin', body === '' ? '' : origin],
    ['Content-Type', typeOf(given)],
    ['Upgrade-Insecure-Requests', script ? '' : '1'],
    [
      'User-Agent',
      `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) ${name}/${version}.0.0.0 Safari/537.36`,
    ],
    ['Accept', script ? 'application/json' : pageTypes],
    ['Sec-Fetch-Site', 'same-origin'],
    ['Sec-Fetch-Mode', script ? 'cors' : 'navigate'],
    ['Sec-Fetch-User', script ? '' : '?1'],
    ['Sec-Fetch-Dest', script ? 'empty' : 'document'],
    ['Referer', `${origin}/premiere`],
    ['Accept-Encoding', 'gzip, deflate, br'],
    ['Accept-Language', 'en-GB,en;q=0.9'],
    ['Cookie', cookie],
  ]
}

function firefoxFields(given: Given): Fields {
  const { host, origin, cookie, body, wish, version } = given
  const script = wish.script === true
  return [
    ['Host', host],
    ['User-Agent', `Mozilla/5.0 (X11; Linux x86_64; rv:${version}.0) Gecko/20100101 Firefox/${version}.0`],
    ['Accept', script ? 'application/json' : pageTypes],
    ['Accept-Language', 'de,en-US;q=0.7,en;q=0.3'],
    ['Accept-Encoding', 'gzip, deflate, br'],
    ['Referer', `${origin}/premiere`],
    ['Content-Type', typeOf(given)],
    ['Content-Length', lengthOf(body)],
    ['Origin', body === '' ? '' : origin],
    ['Connection', 'keep-alive'],
    ['Cookie', cookie],
    ['Upgrade-Insecure-Requests', script ? '' : '1'],
    ['Sec-Fetch-Dest', script ? 'empty' : 'document'],
    ['Sec-Fetch-Mode', script ? 'cors' : 'navigate'],
    ['Sec-Fetch-Site', 'same-origin'],
    ['Sec-Fetch-User', script ? '' : '?1'],
  ]
}

/** A browser without a window that was told to look like one, by a library with an order of its own. */
function headlessFields(given: Given): Fields {
  const { host, origin, cookie, body, wish, version } = given
  return [
    ['Host', host],
    ['Connection', 'keep-alive'],
    ['Accept-Language', 'en-US'],
    ['Accept-Encoding', 'gzip, deflate, br'],
    [
      'User-Agent',
      `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/${version}.0.0.0 Safari/537.36`,
    ],
    ['Accept', wish.script === true ? 'application/json' : pageTypes],
    ['Origin', body === '' ? '' : origin],
    ['Content-Type', typeOf(given)],
    ['Content-Length', lengthOf(body)],
    ['Cookie', cookie],
  ]
}

function pythonFields(given: Given): Fields {
  return [
    ['Host', given.host],
    ['User-Agent', 'python-requests/2.32.3'],
    ['Accept-Encoding', 'gzip, deflate'],
    ['Accept', 'application/json'],
    ['Connection', 'keep-alive'],
    ['Cookie', given.cookie],
    ['Content-Length', lengthOf(given.body)],
    ['Content-Type', typeOf(given)],
  ]
}

const orders: Readonly<Record<Agent, (given: Given) => Fields>> = {
  chrome: given => chromeFields(given, 'Chrome'),
  firefox: firefoxFields,
  headless: headlessFields,
  python: pythonFields,
}

function bodyOf({ form, json }: Wish): string {
  if (json !== undefined) return JSON.stringify(json)
  return form === undefined ? '' : new URLSearchParams(form).toString()
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const { socket } = response
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of response) {
    bytes += (piece as Buffer).length
    if (bytes > bodyBytesMax) throw new Error('a longer answer than anything here gives')
    pieces.push(piece as Buffer)
  }
  // One request a connection: the same for everybody, and nothing is left open.
  socket.destroy()
  const { statusCode: status = 0, headers: head } = response
  const text = textOf(Buffer.concat(pieces), head['content-encoding'])
  return { status, head, text, code: status < 400 ? '' : codeOf(head, text) }
}

function textOf(bytes: Buffer, coding: string | undefined): string {
  if (coding === 'br') return brotliDecompressSync(bytes).toString()
  return (coding === 'gzip' ? gunzipSync(bytes) : bytes).toString()
}

/** JSON has it in `error.code`; pages of the edge write it somewhere, in capitals; challenges and the line say so in a field. */
function codeOf(head: IncomingMessage['headers'], text: string): string {
  const json = /"code":\s*"([A-Z_]+)"/.exec(text)?.[1]
  if (json !== undefined) return json
  if (head['tenfold-challenge'] !== undefined) return 'CHALLENGE_REQUIRED'
  if (head['tenfold-room'] !== undefined)
    return `ROOM_${String(head['tenfold-room']).toUpperCase().replace('-', '_')}`
  if (head['x-refused'] !== undefined) return String(head['x-refused'])
  return /\b[A-Z]+(?:_[A-Z]+)+\b/.exec(text)?.[0] ?? ''
}
