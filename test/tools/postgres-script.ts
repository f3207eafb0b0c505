// Random conversations of a client with a PostgreSQL server: messages in any order that a client could send, well formed
// or not quite, and a transcript of what comes back. The same seed makes the same conversation, so that two servers can be
// compared: what a router answers must be what PostgreSQL answers.

import type { Random } from '../../src/kit/random.ts'
import { bytesFrame } from '../../src/wire/postgres/compose.ts'
import {
  bindMessage,
  closeMessage,
  copyDoneMessage,
  copyFailMessage,
  describeMessage,
  executeMessage,
  flushMessage,
  frontend,
  parseMessage,
  portalTarget,
  queryMessage,
  readReport,
  statementTarget,
  syncMessage,
} from '../../src/wire/postgres/index.ts'
import type { PostgresPeer } from './postgres-peer.ts'

export interface Line {
  readonly says: string
  readonly bytes: Buffer
}

const texts = [
  'SELECT 1',
  'SELECT 1, 2; SELECT 3',
  'SELECT 1/0',
  'SELEC',
  '',
  'BEGIN',
  'BEGIN; SELECT 1',
  'COMMIT',
  'ROLLBACK',
  'SAVEPOINT a',
  'ROLLBACK TO a',
  'INSERT INTO script_words VALUES (1)',
  'SELECT count(*) FROM script_words WHERE false',
  "SET application_name = 'script'",
  'SHOW search_path',
  'COPY script_words FROM STDIN',
  'COPY (SELECT 5) TO STDOUT',
  'SELECT generate_series(1, 5)',
  'SELECT 1/(3 - n) FROM generate_series(1, 5) AS n',
  "DO $$ BEGIN RAISE NOTICE 'told'; END $$",
  'DECLARE c CURSOR FOR SELECT generate_series(1, 3)',
  'FETCH 2 FROM c',
] as const
const prepared = [
  'SELECT 1',
  'SELECT $1::text',
  'SELECT generate_series(1, 4)',
  'INSERT INTO script_words VALUES (2)',
  'BEGIN',
  'COMMIT',
  'SELECT 1/0',
  'SELEC',
  '',
  'COPY script_words FROM STDIN',
  'SELECT 1; SELECT 2',
] as const
/** Of `prepared`: what can't be parsed. */
const wrong: ReadonlySet<string> = new Set(['SELEC', 'SELECT 1; SELECT 2'])
const names = ['', '', 'a', 'b', 'ä name that is longer than thirty-two bytes'] as const
/** What a peer needs to see that it is in step again, whatever came before. */
export const marker = 'in step again'

/** `count` messages, then what brings any state back to idle, and a mark. */
export function randomScript(random: Random, count: number): Line[] {
  const used = new Set<string>()
  const lines = Array.from({ length: count }, () => randomLine(random, used))
  return [...lines, ...ending]
}

function one<T>(random: Random, list: readonly T[]): T {
  return list[random.below(list.length)] as T
}

function randomLine(random: Random, used: Set<string>): Line {
  const name = one(random, names)
  const other = one(random, names)
  const say = (says: string, bytes: Buffer): Line => ({ says, bytes })
  const text = one(random, texts)
  const kind = random.below(20)
  if (kind < 5) return say(`Query ${text}`, queryMessage(text))
  if (kind < 8) {
    const sql = one(random, prepared)
    // What a name stands for that is used again before anybody knows whether its first Parse failed, a router can't know
    // either: it takes it for the first.
    if (name !== '' && (wrong.has(sql) || used.has(name))) return say(`Parse ${sql}`, parseMessage('', sql))
    used.add(name)
    // A text of its own: what is on the server already is answered by a router without asking, also amid a transaction
    // that has failed.
    if (name !== '') return say(`Parse ${name} ${sql}`, parseMessage(name, `${sql} -- ${random.uint32()}`))
    return say(`Parse ${name} ${sql}`, parseMessage(name, sql))
  }
  if (kind < 11) {
    const values = random.below(5) === 0 ? ['x'] : []
    return say(`Bind ${name} ${other} ${values.length}`, bindMessage(name, other, values))
  }
  if (kind < 13) {
    const rows = one(random, [0, 0, 2])
    return say(`Execute ${name} ${rows}`, executeMessage(name, rows))
  }
  if (kind < 17) return say('Sync', syncMessage)
  return randomRest(random, name, say)
}

function randomRest(random: Random, name: string, say: (says: string, bytes: Buffer) => Line): Line {
  const target = one(random, [statementTarget, portalTarget])
  const of = `${String.fromCharCode(target)} ${name}`
  switch (random.below(7)) {
    case 0:
      return say(`Describe ${of}`, describeMessage(target, name))
    case 1:
      return say(`Close ${of}`, closeMessage(target, name))
    case 2:
      return say('Flush', flushMessage)
    case 3:
      return say('CopyData', bytesFrame(frontend.copyData, Buffer.from('3\n')))
    case 4:
      return say('CopyData wrong', bytesFrame(frontend.copyData, Buffer.from('three\n')))
    case 5:
      return say('CopyDone', copyDoneMessage)
    default:
      return say('CopyFail', copyFailMessage('because'))
  }
}

const ending: readonly Line[] = [
  { says: 'CopyFail', bytes: copyFailMessage('the end') },
  { says: 'Sync', bytes: syncMessage },
  { says: 'Query ROLLBACK', bytes: queryMessage('ROLLBACK') },
  { says: `Query ${marker}`, bytes: queryMessage(`SELECT '${marker}'`) },
]

/** In pieces: `cuts` 0 all at once, 1 a message a write, 2 anywhere. */
export async function play(
  peer: PostgresPeer,
  script: readonly Line[],
  cuts: number,
  random: Random,
): Promise<void> {
  const whole = Buffer.concat(script.map(line => line.bytes))
  const pieces =
    cuts === 0 ? [whole] : cuts === 1 ? script.map(line => line.bytes) : cutAnywhere(whole, random)
  for (const piece of pieces) {
    peer.write(piece)
    if (cuts > 0) await new Promise(resolve => setImmediate(resolve))
  }
}

function cutAnywhere(whole: Buffer, random: Random): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < whole.length; ) {
    const end = Math.min(whole.length, at + 1 + random.below(60))
    pieces.push(whole.subarray(at, end))
    at = end
  }
  return pieces
}

/** What came back, a word a message, up to the mark or the end of the connection. */
export async function transcript(peer: PostgresPeer): Promise<string> {
  const words: string[] = []
  let marked = false
  for (;;) {
    const message = await peer.next()
    if (message === null) return [...words, 'closed'].join(' ')
    const { type, payload } = message
    if (type === 'E') words.push(`E${readReport(payload, 0, payload.length)?.code}`)
    else if (type === 'Z') words.push(`Z${payload.toString()}`)
    else if (type === 'C') words.push(`C(${payload.toString('latin1', 0, payload.length - 1)})`)
    else if (type === 'D') words.push(`D(${payload.toString('latin1', 6)})`)
    else if (type !== 'S') words.push(type)
    if (type === 'D' && payload.toString('latin1', 6) === marker) marked = true
    if (marked && type === 'Z') return words.join(' ')
  }
}
