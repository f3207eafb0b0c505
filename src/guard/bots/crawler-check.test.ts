import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createReverseNames } from '../../io/reverse-names.ts'
import { startNameServer } from '../../io/testing/name-server.ts'
import { type Crawler, knownCrawlers } from '../../policy/risk/index.ts'
import { type CrawlerBook, readCrawlerBook } from './crawler-book.ts'
import { CrawlerCheck, crawlerProof } from './crawler-check.ts'
import { readDataCentres } from './data-centres.ts'
import { readKeysFile } from './key-directories.ts'

const byName = (name: string): Crawler => knownCrawlers.find(one => one.name === name)!
const google = byName('google')
const openai = byName('openai-training')

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-crawlers-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function bookOf(t: TestContext, ...files: object[]): CrawlerBook {
  const folder = folderOf(t)
  return readCrawlerBook(
    files.map((content, at) => {
      const file = join(folder, `${at}.json`)
      writeFileSync(file, JSON.stringify(content))
      return file
    }),
  )
}

async function decided(ask: () => number): Promise<number> {
  for (let i = 0; i < 1_000; i++) {
    const proof = ask()
    if (proof !== crawlerProof.unproven) return proof
    await sleep(10)
  }
  return crawlerProof.unproven
}

test('a crawler is unproven until its name is known, then proven or refuted; while DNS is away it stays unproven', async t => {
  const server = await startNameServer()
  const names = createReverseNames({ servers: [server.address], timeoutMs: 200 })
  let now = 0
  const check = new CrawlerCheck(names, () => now)
  t.after(async () => {
    check.close()
    await server.close()
  })
  const book = bookOf(t)
  const { zone } = server
  zone.set('1.66.249.66.in-addr.arpa', [{ type: 'PTR', data: 'crawl-1.googlebot.com', ttl: 60 }])
  zone.set('crawl-1.googlebot.com', [{ type: 'A', data: '66.249.66.1', ttl: 60 }])
  zone.set('7.113.0.203.in-addr.arpa', [{ type: 'PTR', data: 'crawl-1.googlebot.com', ttl: 60 }])
  assert.equal(check.proof('66.249.66.1', google, book), crawlerProof.unproven)
  assert.equal(await decided(() => check.proof('66.249.66.1', google, book)), crawlerProof.proven)
  // Its owner may give an address any name, but not the name its address.
  assert.equal(await decided(() => check.proof('203.0.113.7', google, book)), crawlerProof.refuted)
  assert.equal(await decided(() => check.proof('203.0.113.8', google, book)), crawlerProof.refuted)
  server.behave('fail')
  now += 7 * 3_600_000
  assert.equal(check.proof('203.0.113.9', google, book), crawlerProof.unproven)
  await sleep(100)
  assert.equal(check.proof('203.0.113.9', google, book), crawlerProof.unproven)
})

test('a private address is nobody of the world; no question is asked about it', async () => {
  const asked: string[] = []
  const names = {
    confirmed: async (address: string) => {
      asked.push(address)
      return []
    },
    close: () => {},
  }
  const check = new CrawlerCheck(names, () => 0)
  const book = readCrawlerBook([])
  for (const address of ['127.0.0.1', '10.9.8.7', '192.168.0.1', 'fe80::1', 'fd00::1', 'unknown'])
    assert.equal(check.proof(address, google, book), crawlerProof.refuted, address)
  assert.deepEqual(asked, [])
})

test('ranges of a file prove and refute at once; a crawler without any way to know it stays unproven', t => {
  const names = { confirmed: async () => [], close: () => {} }
  const check = new CrawlerCheck(names, () => 0)
  assert.equal(check.proof('192.0.2.1', openai, readCrawlerBook([])), crawlerProof.unproven)
  const book = bookOf(
    t,
    { name: 'openai-training', prefixes: [{ ipv4Prefix: '192.0.2.0/24' }, { ipv6Prefix: '2001:db8::/32' }] },
    { name: 'ours', agents: ['OurBot'], ranges: ['198.51.100.7'], hosts: ['bot.example'], purpose: 'search' },
  )
  assert.equal(check.proof('192.0.2.1', openai, book), crawlerProof.proven)
  assert.equal(check.proof('2001:db8::5', openai, book), crawlerProof.proven)
  assert.equal(check.proof('198.51.100.7', openai, book), crawlerProof.refuted)
  const ours = book.crawlers[1]
  assert.deepEqual(ours, { name: 'ours', purpose: 'search', agents: ['ourbot'], hosts: ['.bot.example'] })
  assert.equal(book.crawlers.filter(({ name }) => name === 'openai-training').length, 1)
})

test('no more look-ups run at once than there is room for', async () => {
  let running = 0
  let most = 0
  const names = {
    confirmed: async () => {
      most = Math.max(most, ++running)
      await sleep(5)
      running--
      return []
    },
    close: () => {},
  }
  const check = new CrawlerCheck(names, () => 0)
  const book = readCrawlerBook([])
  for (let i = 0; i < 200; i++) check.proof(`198.51.100.${i}`, google, book)
  await sleep(20)
  assert.equal(most, 32)
})

test('a list that can not be used is refused with its file: crawlerFile, dataCentreFile, keysFile', t => {
  const file = join(folderOf(t), 'list')
  const cases: readonly [string, (file: string) => unknown, string][] = [
    ['', f => readCrawlerBook([f]), 'BOTS_CRAWLER_FILE'],
    ['[]', f => readCrawlerBook([f]), 'BOTS_CRAWLER_FILE'],
    ['{}', f => readCrawlerBook([f]), 'BOTS_CRAWLER_FILE'],
    ['{ "name": "x", "ranges": ["10.0.0.0/33"] }', f => readCrawlerBook([f]), 'BOTS_CRAWLER_FILE'],
    ['{ "name": "x", "prefixes": [{ "ipv4Prefix": 7 }] }', f => readCrawlerBook([f]), 'BOTS_CRAWLER_FILE'],
    ['{ "name": "x", "purpose": "spy" }', f => readCrawlerBook([f]), 'BOTS_CRAWLER_FILE'],
    ['10.0.0.0/8\n\n# all\nnowhere', f => readDataCentres([f]), 'BOTS_DATA_CENTRE_FILE'],
    ['{ "keys": [{ "kty": "RSA" }] }', readKeysFile, 'BOTS_KEYS_FILE'],
  ]
  for (const [text, read, code] of cases) {
    writeFileSync(file, text)
    assert.throws(() => read(file), { code }, text)
  }
  for (const read of [(f: string) => readCrawlerBook([f]), (f: string) => readDataCentres([f]), readKeysFile])
    assert.throws(() => read(join(file, 'missing')), /missing/)
})
