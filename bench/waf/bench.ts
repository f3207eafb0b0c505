// The rule engine by itself: what is detected and what is refused by mistake, for the Core Rule Set and the built-in rules,
// and how much processor time a request's rules take. See README.md.

import { setImmediate } from 'node:timers/promises'
import { builtinSources } from '../../src/guard/waf/builtin/index.ts'
import { compileSlowly, RuleBook, type RuleSet } from '../../src/guard/waf/rules.ts'
import { readRuleFiles } from '../../src/guard/waf/sources.ts'
import type { WafBody, WafField } from '../../src/guard/waf/transaction.ts'
import { table } from '../lib/markdown.ts'
import { figure, percent } from '../lib/statistics.ts'
import type { BenchOptions } from '../run.ts'
import { type Corpus, readCorpora } from './corpora.ts'

const folder = '/usr/share/modsecurity-crs/rules'
const browser: readonly WafField[] = [
  ['Host', 'shop.example'],
  ['User-Agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'],
  ['Accept', 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8'],
  ['Accept-Language', 'en-US,en;q=0.5'],
  ['Accept-Encoding', 'gzip, deflate, br'],
  ['Cookie', 'sid=8f14e45fceea167a5a36dedd4bea2543; theme=dark'],
]

interface Contender {
  readonly name: string
  readonly book: RuleBook
}

interface Asked {
  readonly target: string
  readonly body: WafBody | null
}

function inForm(text: string): Asked {
  return sentForm(text, Number.POSITIVE_INFINITY)
}

/** As browsers send it, and no more than `bytesMax` of it; rules get bytes. */
function sentForm(text: string, bytesMax: number): Asked {
  let encoded = 'text='
  let sent = 0
  for (const character of text) {
    const piece = character === ' ' ? '+' : encodeURIComponent(character)
    if (encoded.length + piece.length > bytesMax) break
    encoded += piece
    sent += character.length
  }
  const body: WafBody = {
    processor: 'URLENCODED',
    bytes: encoded.length,
    text: encoded,
    args: [['text', Buffer.from(text.slice(0, sent)).latin1Slice()]],
    files: [],
    partHeaders: [],
    xmlTexts: [],
    xmlAttributes: [],
    error: '',
  }
  return { target: '/comments', body }
}

function ask(book: RuleBook, { target, body }: Asked): boolean {
  const transaction = book.open()
  const framing: WafField[] =
    body === null
      ? []
      : [
          ['Content-Type', 'application/x-www-form-urlencoded'],
          ['Content-Length', String(body.bytes)],
        ]
  transaction.requestHead({
    method: body === null ? 'GET' : 'POST',
    target,
    protocol: 'HTTP/1.1',
    address: '192.0.2.7',
    requestId: 'id',
    headers: [...browser, ...framing],
  })
  transaction.requestBody(body)
  const { refused, exhausted } = transaction.judgement
  return refused !== null || exhausted
}

/** Every second text: see corpora.ts. */
function heldOut(corpus: Corpus): readonly string[] {
  return corpus.texts.filter((_, index) => index % 2 === 1)
}

async function detection(contenders: readonly Contender[], corpora: readonly Corpus[]): Promise<string> {
  const rows: string[][] = []
  const sums = new Map<boolean, number[]>()
  for (const corpus of corpora) {
    const texts = heldOut(corpus)
    const refused: number[] = []
    for (const { book } of contenders) {
      refused.push(texts.filter(text => ask(book, inForm(text))).length)
      await setImmediate()
    }
    const name = `${corpus.attack ? 'attack' : 'benign'}: ${corpus.name} (${corpus.source})`
    rows.push([name, String(texts.length), ...refused.map(count => percent(count / texts.length))])
    const sum = sums.get(corpus.attack) ?? [0, ...contenders.map(() => 0)]
    sums.set(
      corpus.attack,
      [texts.length, ...refused].map((count, index) => count + sum[index]!),
    )
  }
  for (const [attack, [count, ...refused]] of sums) {
    const shares = refused.map(one => `**${percent(one / count!)}**`)
    rows.push([attack ? '**all attacks**' : '**all benign**', String(count), ...shares])
  }
  return table(['refused, of texts held out', 'texts', ...contenders.map(({ name }) => name)], rows)
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

function requests(): Readonly<Record<string, Asked>> {
  let state = 7
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const base64 = Array.from({ length: 16_384 }, () => alphabet[next(64)]).join('')
  const binary = Array.from({ length: 16_384 }, () => String.fromCharCode(next(256))).join('')
  const prose =
    'Dear all, the meeting is at ten; please bring what we said. It is about the new shop, its prices and tea. '
  const hostile = (text: string): Asked => sentForm(text, 16_384)
  return {
    'page with a query': { target: '/shop/items?page=2&sort=price&q=red+shoes', body: null },
    'form of 100 bytes': inForm(prose.slice(0, 100)),
    'prose, 4 KB': sentForm(prose.repeat(40), 4096),
    '16 KB of spaces': hostile(' '.repeat(16_384)),
    '16 KB of x': hostile('x'.repeat(16_384)),
    '16 KB of Base64': hostile(base64),
    '16 KB of attacks': hostile("<script>alert(1)</script>' or 1=1-- ../../etc/passwd;cat ".repeat(400)),
    '16 KB of random bytes': hostile(binary),
  }
}

interface Cost {
  /** Processor time of this thread: what others do on the machine is not in it. Kernels count it in ticks: no percentiles. */
  readonly mean: number
  /** On the clock. */
  readonly p50: number
  readonly p99: number
}

/** Milliseconds. */
function cost(book: RuleBook, asked: Asked, rounds: number): Cost {
  const times: number[] = []
  for (let round = 0; round < rounds / 4; round += 1) ask(book, asked)
  const start = process.threadCpuUsage()
  for (let round = 0; round < rounds; round += 1) {
    const before = performance.now()
    ask(book, asked)
    times.push(performance.now() - before)
  }
  const { user, system } = process.threadCpuUsage(start)
  times.sort((a, b) => a - b)
  const mean = (user + system) / 1000 / rounds
  return { mean, p50: times[times.length >> 1]!, p99: times[Math.floor(times.length * 0.99)]! }
}

function costs(contenders: readonly Contender[], quick: boolean): string {
  const rows = Object.entries(requests()).map(([name, asked]) => {
    const rounds = asked.body !== null && asked.body.bytes > 8000 ? 400 : 2000
    const cells = contenders.flatMap(({ book }) => {
      const { mean, p50, p99 } = cost(book, asked, quick ? rounds / 4 : rounds)
      return [figure(mean), figure(p50), figure(p99)]
    })
    return [name, ...cells]
  })
  return table(
    ['milliseconds', ...contenders.flatMap(({ name }) => [`${name}: processor`, 'p50', 'p99'])],
    rows,
  )
}

function contender(name: string, set: RuleSet, paranoia: number): Contender {
  const settings = { paranoia, inboundThreshold: 5, outboundThreshold: 4, exclude: [], endsAtRefusal: true }
  return { name, book: new RuleBook(set, settings) }
}

export async function run(options: BenchOptions): Promise<string> {
  const before = performance.now()
  const { sources } = await readRuleFiles([folder])
  const crs = await compileSlowly(sources, true, () => setImmediate())
  const loading = performance.now() - before
  const builtin = await compileSlowly(builtinSources(), true, () => setImmediate())
  const contenders = [
    contender('built-in', builtin, 1),
    contender('CRS 3.3.4, PL 1', crs, 1),
    contender('CRS 3.3.4, PL 2', crs, 2),
  ]
  const corpora = readCorpora()
  return [
    await detection(contenders, corpora),
    costs(contenders, options.quick),
    `The Core Rule Set was read and compiled in ${figure(loading)} ms, once a thread and start.`,
  ].join('\n\n')
}
