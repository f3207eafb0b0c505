import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentOf } from './agent.ts'
import { crawlerOf, isHostOf, knownCrawlers } from './crawlers.ts'

const webkit = 'AppleWebKit/537.36 (KHTML, like Gecko)'

test('a User-Agent is read for its family and major version', () => {
  const cases: readonly [string, string, number][] = [
    ['', 'none', 0],
    [`Mozilla/5.0 (Windows NT 10.0) ${webkit} Chrome/156.0.0.0 Safari/537.36`, 'chromium', 156],
    [`Mozilla/5.0 (Windows NT 10.0) ${webkit} Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0`, 'chromium', 156],
    [
      `Mozilla/5.0 (Windows NT 10.0) ${webkit} Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763`,
      'browser',
      0,
    ],
    ['Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0', 'firefox', 145],
    [
      'Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15',
      'safari',
      18,
    ],
    ['Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 CriOS/130.0.0.0 Mobile/15E148 Safari/604.1', 'safari', 0],
    ['Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0) like Gecko', 'browser', 0],
    ['Mozilla/5.0 (X11) Chrome/', 'browser', 0],
    ['curl/7.88.1', 'tool', 0],
    ['Python-urllib/3.11', 'tool', 0],
    ['node', 'tool', 0],
    ['Shop/7.2 okhttp/4.12', 'app', 0],
  ]
  for (const [text, family, version] of cases) {
    const agent = agentOf(text)
    assert.deepEqual([agent.family, agent.version], [family, version], text)
  }
  assert.equal(agentOf(`Mozilla/5.0 (X11) ${webkit} HeadlessChrome/156.0.0.0 Safari/537.36`).headless, true)
})

test('what stands far behind the start of an endless User-Agent is not read', () => {
  assert.equal(agentOf(`Mozilla/5.0 ${'x'.repeat(5_000_000)} Chrome/156.0`).family, 'browser')
})

test('crawlers are known by their words, the closer name first', () => {
  const nameOf = (agent: string): string | undefined => crawlerOf(agent, knownCrawlers)?.name
  assert.equal(nameOf('Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)'), 'google')
  assert.equal(nameOf('Mozilla/5.0 (compatible; Applebot-Extended/0.1)'), 'applebot-extended')
  assert.equal(nameOf('Mozilla/5.0 (compatible; Perplexity-User/1.0)'), 'perplexity-user')
  assert.equal(nameOf('Mozilla/5.0 (compatible; GPTBot/1.2)'), 'openai-training')
  assert.equal(nameOf('curl/8'), undefined)
  assert.equal(new Set(knownCrawlers.map(({ name }) => name)).size, knownCrawlers.length)
})

test('a host belongs to a crawler by whole labels, and customers of its cloud do not', () => {
  const google = knownCrawlers.find(({ name }) => name === 'google')!
  assert.equal(isHostOf('crawl-66-249-66-1.googlebot.com', google), true)
  assert.equal(isHostOf('CRAWL.GOOGLEBOT.COM.', google), true)
  for (const host of [
    '1.2.3.4.bc.googleusercontent.com',
    'evilgooglebot.com',
    'googlebot.com.evil.test',
    'googlebot.com',
  ])
    assert.equal(isHostOf(host, google), false, host)
})
