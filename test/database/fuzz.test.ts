// Hostile and odd clients at a running router: bytes that are no protocol, messages in any order, clients that vanish in
// every state. What must hold: it answers as PostgreSQL does, or with a clean refusal; it lives; and when all is over no
// server connection is in use and none remembers who was there. `ROUTER_FUZZ_SEED` repeats a run.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { type Random, seededRandom } from '../../src/kit/random.ts'
import { bytesFrame, int32Part } from '../../src/wire/postgres/compose.ts'
import {
  bindMessage,
  cancelRequest,
  copyDoneMessage,
  describeMessage,
  executeMessage,
  flushMessage,
  frontend,
  parseMessage,
  passwordMessage,
  queryMessage,
  saslInitialResponse,
  sslRequest,
  startupMessage,
  statementTarget,
  syncMessage,
} from '../../src/wire/postgres/index.ts'
import { errorText, type PeerTarget, PostgresPeer } from '../tools/postgres-peer.ts'
import { play, randomScript, transcript } from '../tools/postgres-script.ts'
import { startPostgres } from '../tools/postgres-server.ts'
import { type RouterUnderTest, startRouter, waitFor } from '../tools/router-harness.ts'

const seed = Number(process.env.ROUTER_FUZZ_SEED ?? Date.now() % 1_000_000)

const endings: (() => Promise<void> | void)[] = []
const ending = { after: (end: unknown): void => void endings.push(end as () => void) }
const who = { host: '127.0.0.1', database: 'app', user: 'app', password: 'secret' } as const
let direct: PeerTarget
let routed: PeerTarget
let router: RouterUnderTest

before(async () => {
  const server = await startPostgres(ending)
  // Few connections: whatever one client leaves behind, the next one gets.
  router = await startRouter(ending, { servers: [server], pool: { sizeMax: 3 } })
  direct = { ...who, port: server.port }
  routed = { ...who, port: router.port }
  await withClient(router.url, client =>
    client.query('CREATE TABLE script_words (n int); CREATE TABLE fuzz_words (n int)'),
  )
})

after(async () => {
  for (const end of endings.reverse()) await end()
})

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** Nothing is in use and nothing is left of anybody: neither here nor on the servers. */
async function clean(after = ''): Promise<void> {
  const status = (): string => JSON.stringify(router.status())
  await waitFor(isQuiet, () => `not clean after ${after}: ${status()}`)
  const places = router.status().servers[0]?.connections ?? 1
  const clients = await Promise.all(Array.from({ length: places }, () => PostgresPeer.logIn(routed)))
  try {
    for (const client of clients) client.write(queryMessage('BEGIN'))
    for (const client of clients) assert.match(await client.types(), /^(S )*C ZT$/, after)
    for (const client of clients) {
      client.write(queryMessage(leftovers))
      const row = (await client.until('Z')).find(message => message.type === 'D')
      assert.equal(row?.payload.toString('utf8', 6), pristine, after)
    }
  } finally {
    for (const client of clients) client.close()
  }
  await waitFor(isQuiet, () => `not clean after looking: ${status()}`)
}

function isQuiet(): boolean {
  const { clients, waiting, held, servers, pins } = router.status()
  const active = servers.reduce((sum, server) => sum + server.active, 0)
  return clients + waiting + held + active + Object.values(pins).reduce((sum, count) => sum + count, 0) === 0
}

/** What a session could have left on the connection that is asked. */
const leftovers = `SELECT concat_ws(' ', current_setting('search_path'), current_setting('statement_timeout'),
  current_setting('lock_timeout'), current_setting('work_mem'), current_setting('default_transaction_read_only'),
  current_setting('application_name'), current_user,
  (SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND pg_table_is_visible(oid)),
  (SELECT count(*) FROM pg_cursors), (SELECT count(*) FROM pg_prepared_statements WHERE from_sql),
  (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
  (SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600%' AND state <> 'idle' AND pid <> pg_backend_pid()))`
const pristine = '"$user", public 0 0 4MB off tenfold app 0 0 0 0 0 0'

// --- differential ---------------------------------------------------------------------------------------------

test('messages in any order, in any pieces, are answered as PostgreSQL answers them', async t => {
  t.diagnostic(`seed ${seed}`)
  for (let round = 0; round < 150; round++) {
    const random = seededRandom(seed + round)
    const script = randomScript(random, 1 + random.below(16))
    const cuts = random.below(3)
    const answers: string[] = []
    for (const target of [direct, routed]) {
      const peer = await PostgresPeer.logIn(target)
      const [answer] = await Promise.all([transcript(peer), play(peer, script, cuts, seededRandom(round))])
      answers.push(answer)
      peer.close()
    }
    const [expected = '', answer = ''] = answers
    const said = `seed ${seed + round}, cuts ${cuts}: ${script.map(line => line.says).join(' | ')}`
    // Other messages than data amid a COPY: PostgreSQL ends the connection, and its last words may get lost on the way.
    if (expected.endsWith('closed')) assert.ok(expected.startsWith(answer.replace(/E08.*/, '')), said)
    else assert.equal(answer, expected, said)
  }
  await clean()
})

// --- vanishing ------------------------------------------------------------------------------------------------

/** A message, and the type of the answer after which the next is sent ('': at once). */
type Step = readonly [Buffer, string]

const query = (sql: string): Step => [queryMessage(sql), 'Z']
const copyData = (text: string): Buffer => bytesFrame(frontend.copyData, Buffer.from(text))
const half = (frame: Buffer): Buffer => frame.subarray(0, frame.length >> 1)

const conversations: Readonly<Record<string, readonly Step[]>> = {
  transaction: [
    query('BEGIN'),
    query('INSERT INTO fuzz_words VALUES (1)'),
    query('SAVEPOINT one'),
    query('SELECT 1/0'),
    query('ROLLBACK TO one'),
    query('SELECT * FROM fuzz_words FOR UPDATE'),
    query('COMMIT'),
  ],
  settings: [
    query("SET search_path = 'nowhere'"),
    query('BEGIN'),
    query("SET statement_timeout = '7h'"),
    query("SET LOCAL work_mem = '8MB'"),
    query("SELECT set_config('lock_timeout', '6h', false)"),
    query('COMMIT'),
    query('SET ROLE app'),
    query('SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY'),
  ],
  session: [
    query('CREATE TEMP TABLE fuzz_temp (n int)'),
    query('SELECT pg_advisory_lock(4711)'),
    query('LISTEN fuzz'),
    query('DECLARE kept CURSOR WITH HOLD FOR SELECT generate_series(1, 1000)'),
    query('FETCH 5 FROM kept'),
    query("PREPARE by_sql AS SELECT 'left behind'"),
    query('EXECUTE by_sql'),
    query('SELECT setseed(0.5)'),
    query('SELECT lo_create(0) > 0'),
  ],
  extended: [
    [parseMessage('named', 'SELECT generate_series(1, $1::int)'), ''],
    [describeMessage(statementTarget, 'named'), ''],
    [flushMessage, 'T'],
    [bindMessage('portal', 'named', ['100']), ''],
    [executeMessage('portal', 2), ''],
    [flushMessage, 's'],
    [executeMessage('portal', 2), ''],
    [syncMessage, 'Z'],
    [parseMessage('', 'SELECT 1/0'), ''],
    [bindMessage('', '', []), ''],
    [executeMessage('', 0), ''],
    [parseMessage('named', 'SELECT 2'), ''],
    [syncMessage, 'Z'],
  ],
  portal: [
    [queryMessage('BEGIN'), 'Z'],
    [parseMessage('', 'SELECT generate_series(1, 1000)'), ''],
    [bindMessage('open', '', []), ''],
    [executeMessage('open', 5), ''],
    [syncMessage, 'Z'],
    [executeMessage('open', 5), ''],
    [syncMessage, 'Z'],
  ],
  'copy in': [
    [queryMessage('COPY fuzz_words FROM STDIN'), 'G'],
    [copyData('1\n2\n'), ''],
    [half(copyData('3\n'.repeat(1_000))), ''],
  ],
  'copy in, extended': [
    [parseMessage('', 'COPY fuzz_words FROM STDIN'), ''],
    [bindMessage('', '', []), ''],
    [executeMessage('', 0), ''],
    [syncMessage, 'G'],
    [copyData('1\n'), ''],
    [copyDoneMessage, ''],
    [syncMessage, 'Z'],
  ],
  'copy in, in a transaction': [
    query('BEGIN'),
    [queryMessage('COPY fuzz_words FROM STDIN'), 'G'],
    [copyData('1\n'), ''],
    [copyDoneMessage, 'Z'],
  ],
  'copy out': [
    [queryMessage('COPY (SELECT generate_series(1, 3000000)) TO STDOUT'), 'd'],
    [half(syncMessage), ''],
  ],
  'many rows': [
    [queryMessage("SELECT repeat('x', 100) FROM generate_series(1, 500000)"), 'D'],
    [half(syncMessage), ''],
  ],
  'huge rows': [[queryMessage("SELECT repeat('x', 20000000) FROM generate_series(1, 20)"), 'T']],
  sleeping: [[queryMessage('SELECT pg_sleep(600)'), '']],
  'sleeping in a batch': [
    [parseMessage('', 'SELECT pg_sleep(600)'), ''],
    [bindMessage('', '', []), ''],
    [executeMessage('', 0), ''],
    [flushMessage, ''],
  ],
  'half messages': [
    [half(queryMessage('SELECT 1')), ''],
    [half(queryMessage('x'.repeat(100_000))), ''],
  ],
  pipeline: [
    [Buffer.concat(Array.from({ length: 50 }, () => [...batch('SELECT 1'), syncMessage]).flat()), ''],
    [
      Buffer.concat(
        Array.from({ length: 50 }, () => [...batch('INSERT INTO fuzz_words VALUES (9)'), syncMessage]).flat(),
      ),
      '',
    ],
    [Buffer.concat(batch('SELECT 1')), ''],
  ],
}

function batch(sql: string): Buffer[] {
  return [parseMessage('', sql), bindMessage('', '', []), executeMessage('', 0)]
}

type End = 'reset' | 'fin' | 'terminate'
const ends: readonly End[] = ['reset', 'fin', 'terminate']

function vanish(peer: PostgresPeer, end: End): void {
  if (end === 'reset') peer.reset()
  else if (end === 'fin') peer.close()
  else peer.socket.end(bytesFrame(frontend.terminate)).resume()
}

/** The first `count` messages, then the end; `waits`: each answer is awaited before. */
async function playAndVanish(steps: readonly Step[], count: number, waits: boolean, end: End): Promise<void> {
  const peer = await PostgresPeer.logIn(routed)
  for (const [index, [bytes, answer]] of steps.slice(0, count).entries()) {
    peer.write(bytes)
    const last = index === count - 1
    if (answer !== '' && (waits || !last)) await answered(peer, answer)
  }
  vanish(peer, end)
}

async function answered(peer: PostgresPeer, type: string): Promise<void> {
  for (;;) {
    const message = await peer.next()
    assert.ok(message !== null, `${type} was awaited, the end came`)
    if (message.type === type) return
    if (type !== 'Z') assert.notEqual(message.type, 'E', `${type} was awaited: ${errorText(message)}`)
  }
}

test('a client killed in every protocol state leaves the pool clean', async () => {
  for (const [name, steps] of Object.entries(conversations)) {
    for (const waits of [true, false]) {
      const plays: Promise<void>[] = []
      for (let count = 1; count <= steps.length; count++) {
        const end = ends[(count + (waits ? 1 : 0)) % ends.length] as End
        plays.push(playAndVanish(steps, count, waits, end))
      }
      const failed = (await Promise.allSettled(plays)).find(play => play.status === 'rejected')
      assert.equal(failed?.reason, undefined, name)
      await clean(name)
    }
  }
})

test('a client that vanishes behind several long statements leaves none of them running', async () => {
  const alone = queryMessage
  const behind = (sql: string): Buffer => Buffer.concat([queryMessage('SELECT 1'), queryMessage(sql)])
  for (const message of [alone, behind]) {
    const peer = await PostgresPeer.logIn(routed)
    for (let count = 0; count < 3; count++) peer.write(message('SELECT pg_sleep(600)'))
    peer.socket.destroy()
  }
  await clean('three statements each')
  const { user, password, port, host, database } = direct
  await withClient(`postgres://${user}:${password}@${host}:${port}/${database}`, async client => {
    const sleeping = async (): Promise<boolean> => {
      const text = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
      return (await client.query(text)).rowCount !== 0
    }
    const end = performance.now() + 30_000
    while ((await sleeping()) && performance.now() < end)
      await new Promise(resolve => setTimeout(resolve, 50))
    assert.equal(await sleeping(), false)
  })
})

test('a client killed at every byte of its login leaves nothing behind', async () => {
  const startup = startupMessage(0x30000, { user: routed.user, database: routed.database })
  const initial = saslInitialResponse('SCRAM-SHA-256', 'n,,n=,r=abcdefghijklmnop')
  for (const bytes of [startup, Buffer.concat([sslRequest, startup]), Buffer.concat([startup, initial])]) {
    const cuts = Array.from({ length: bytes.length + 1 }, (_, index) => index)
    for (let from = 0; from < cuts.length; from += 40) {
      await Promise.all(
        cuts.slice(from, from + 40).map(async cut => {
          const peer = await PostgresPeer.connect(routed)
          if (cut > 0) peer.write(bytes.subarray(0, cut))
          vanish(peer, cut % 2 === 0 ? 'reset' : 'fin')
        }),
      )
    }
  }
  await clean('login')
})

// --- garbage --------------------------------------------------------------------------------------------------

test('bytes that are no protocol get a protocol error or an end, before and after the login', async t => {
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  for (let round = 0; round < 150; round++) {
    const early = round % 2 === 0
    const peer = early ? await PostgresPeer.connect(routed) : await PostgresPeer.logIn(routed)
    const garbage = garbageOf(random, early)
    peer.socket.end(garbage)
    const rest = await readLoosely(peer)
    const fatal = /08P01|0A000/.test(rest) || rest === '' || !/FATAL/.test(rest)
    assert.ok(fatal, `round ${round} of seed ${seed}: ${garbage.subarray(0, 60).toString('hex')} got ${rest}`)
  }
  await clean('garbage')
})

function randomBytes(random: Random, size: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: size }, () => random.below(256)))
}

function garbageOf(random: Random, early: boolean): Buffer {
  const noise = randomBytes(random, random.below(200))
  const lengths = [0, 1, 3, 4, 5, 8, 100, 9_999, 10_000, 10_001, 65_536, 2 ** 31 - 1, -1, -(2 ** 31)]
  const length = lengths[random.below(lengths.length)] as number
  const type = Buffer.from('QPBDECSHFXdcfpZR\0\xff'.charAt(random.below(18)), 'latin1')
  switch (random.below(4)) {
    case 0:
      return noise
    case 1:
      return Buffer.concat([early ? Buffer.alloc(0) : type, int32Part(length), noise])
    case 2:
      return Buffer.concat([early ? sslRequest : syncMessage, type, int32Part(length), noise])
    default:
      return bytesFrame(type[0] as number, noise)
  }
}

/** Everything to the end, as text: what came need not be messages. */
async function readLoosely(peer: PostgresPeer): Promise<string> {
  let text = ''
  for (let byte = await peer.byte(); byte !== ''; byte = await peer.byte()) text += byte
  return text
}

test('lengths that lie are refused at once, whatever was promised', async () => {
  for (const length of [0, 3, -1, -(2 ** 31), 2 ** 31 - 1]) {
    for (const type of 'QPBp') {
      const peer = await PostgresPeer.logIn(routed)
      peer.write(Buffer.concat([Buffer.from(type), int32Part(length)]))
      const messages = await peer.rest()
      const errors = messages.filter(message => message.type === 'E').map(errorText)
      assert.match(errors.join(), /^FATAL 08P01/, `${type} ${length}`)
    }
  }
  await clean('lengths')
})

test('a password after the login, and messages before it, end the connection', async () => {
  const late = await PostgresPeer.logIn(routed)
  late.write(passwordMessage('secret'))
  assert.match((await late.rest()).map(errorText).join(), /^FATAL 08P01/)
  const early = await PostgresPeer.connect(routed)
  early.write(
    startupMessage(0x30000, { user: routed.user, database: routed.database }),
    queryMessage('SELECT 1'),
  )
  const messages = await early.rest()
  assert.deepEqual(
    messages.map(message => message.type),
    ['R', 'E'],
  )
  assert.match(errorText(messages[1] as never), /^FATAL 08P01/)
  await clean('passwords')
})

test('cancel requests with keys that nobody has are ignored, and many of them do no harm', async () => {
  const victim = await PostgresPeer.logIn(routed)
  victim.write(queryMessage('SELECT pg_sleep(1)'))
  await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      const peer = await PostgresPeer.connect(routed)
      const key = index % 2 === 0 ? Buffer.alloc(4, index) : Buffer.alloc(32, index)
      peer.write(cancelRequest(index % 3 === 0 ? victim.processId : index, key))
      assert.deepEqual(await peer.rest(), [])
    }),
  )
  assert.equal(await victim.types(), 'T D C ZI')
  victim.close()
  await clean('cancels')
})
