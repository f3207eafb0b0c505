import assert from 'node:assert/strict'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { seededRandom } from '../../kit/random.ts'
import { codeOfText, codeText, type LotteryHashes, numberOfDigest, verifyLottery } from './lottery.ts'

const hashes: LotteryHashes = {
  digest: hex => createHash('sha256').update(Buffer.from(hex, 'hex')).digest('hex'),
  keyed: (key, text) => createHmac('sha256', Buffer.from(key, 'hex')).update(text).digest('hex'),
}

const codeOf = (account: string): string =>
  codeText(numberOfDigest(createHmac('sha256', 'the key of persons').update(account).digest('hex')))

function drawn(seed: string, accounts: readonly string[]): string[] {
  return orderOf(seed, [...new Set(accounts.map(codeOf))])
}

function orderOf(seed: string, codes: readonly string[]): string[] {
  const orders = new Map(codes.map(code => [code, numberOfDigest(hashes.keyed(seed, code))]))
  return [...codes].sort((one, other) => orders.get(one)! - orders.get(other)!)
}

test('an honest draw is proved by its seed, and every dishonest one is found', () => {
  const seed = randomBytes(32).toString('hex')
  const codes = drawn(
    seed,
    Array.from({ length: 300 }, (_, i) => `account-${i}`),
  )
  const commitment = hashes.digest(seed)
  assert.deepEqual(verifyLottery({ commitment, seed, codes }, hashes), { fair: true })
  const swapped = [...codes]
  swapped[10] = codes[200]!
  swapped[200] = codes[10]!
  const bad: [string, { commitment: string; seed: string; codes: string[] }][] = [
    ['swapped', { commitment, seed, codes: swapped }],
    ['another seed', { commitment, seed: randomBytes(32).toString('hex'), codes }],
    ['twice', { commitment, seed, codes: [...codes, codes.at(-1)!] }],
    ['no code', { commitment, seed, codes: [...codes, 'zz'] }],
    ['no seed', { commitment, seed: 'xyz', codes }],
  ]
  for (const [name, proof] of bad) assert.equal(verifyLottery(proof, hashes).fair, false, name)
})

test('codes are 13 digits and read back as they were', () => {
  assert.equal(codeOfText(codeText(1)), 1)
  assert.equal(codeText(2 ** 52 - 1), 'fffffffffffff')
  for (const bad of ['', '1', 'g000000000000', '00000000000000']) assert.equal(codeOfText(bad), null)
})

test('tabs, devices and addresses of an account win nothing: the share of wins per person is the fair one', () => {
  const seed = Date.now() >>> 0
  const random = seededRandom(seed)
  const people = 400
  const winners = 40
  const rounds = 200
  // The first 20 people open 50 tabs each; a tab has the code of its account.
  const codes = Array.from({ length: people }, (_, i) => codeOf(`person-${i}`))
  const entries = codes.flatMap((code, i) => new Array<string>(i < 20 ? 50 : 1).fill(code))
  const greedy = codes.slice(0, 20)
  let greedyWins = 0
  for (let round = 0; round < rounds; round++) {
    const key = Buffer.from(Array.from({ length: 32 }, () => random.below(256))).toString('hex')
    const won = new Set(orderOf(key, [...new Set(entries)]).slice(0, winners))
    greedyWins += greedy.filter(code => won.has(code)).length
  }
  const share = greedyWins / (rounds * 20)
  const fair = winners / people
  // 4,000 trials: five standard deviations of a fair share are 0.0237.
  assert.ok(share <= fair + 0.024, `${share} instead of ${fair}, seed ${seed}`)
})
