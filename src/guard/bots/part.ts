// The part `bots` in one worker: scores each request of a policy with `risk`, and says what is done with it. Cheap signs
// first; names, keys and lists are looked up beside the request. Decides nothing about what a challenge or a room is: it
// says who is to get one.
//
// A request: who is allowed or a proven crawler goes on - its client is counted - what it says, how it began TLS, where it
// comes from and what its client did make a score - the answer by the policy's thresholds.

import type { CheckedGuardPolicy } from '../../file/checked-guard.ts'
import { createReverseNames, type ReverseNames } from '../../io/reverse-names.ts'
import {
  ClientHistory,
  type Crawler,
  deed,
  type RequestShape,
  reasonsOf,
  riskAnswer,
  riskAnswerOf,
  riskBit,
  shapeRisk,
} from '../../policy/risk/index.ts'
import { fieldId } from '../../wire/fields.ts'
import type { AnswerStep } from '../answer.ts'
import type { GuardedRoute, GuardPart, GuardSpec, GuardStep, GuardSurroundings } from '../part.ts'
import { type Passage, verdict } from '../passage.ts'
import type { GuardVisit } from '../visit.ts'
import { Clients, type KnownAgent } from './clients.ts'
import { CookieStep } from './cookie-step.ts'
import { CrawlerCheck, crawlerProof } from './crawler-check.ts'
import { type ChallengeOutcome, recordDeeds } from './deeds.ts'
import { botRefusals } from './failures.ts'
import { formBytesMax, isFilledIn, isForm } from './honeypot-fields.ts'
import { KeyDirectories } from './key-directories.ts'
import { type BotLists, readLists } from './lists.ts'
import { botMemory } from './main-part.ts'
import { SharedNonces } from './nonces.ts'
import { asksForPage, emptyShape, fillShape, isFramed } from './request-shape.ts'
import { Signers } from './signers.ts'

const challengeDeeds = {
  asked: deed.askedChallenge,
  failed: deed.failedChallenge,
  passed: deed.passedChallenge,
} as const
/** What may be another client's doing adds up to this at most, and never to more than a challenge. */
const othersMax = 75
/** Requests that wait because they were slowed, in one worker. */
const slowedMax = 512

export class BotsPart implements GuardPart {
  readonly name = 'bots'
  readonly #surroundings: GuardSurroundings
  readonly #secret: readonly [number, number]
  /** Since when clients are known; milliseconds. */
  readonly knownSince: number
  readonly history: ClientHistory
  readonly check: CrawlerCheck
  readonly signers: Signers
  /** Filled anew for each request. */
  readonly shape: RequestShape = emptyShape()
  readonly slowed: Map<GuardVisit, NodeJS.Timeout> = new Map()
  lists: BotLists | null = null
  clients: Clients

  constructor(surroundings: GuardSurroundings, names: ReverseNames = createReverseNames()) {
    const { memory, clock } = surroundings
    const start = new Int32Array(memory[botMemory.start] as SharedArrayBuffer)
    const nowMs = (): number => clock.monotonic() / 1_000
    this.#surroundings = surroundings
    this.#secret = [start[0] as number, start[1] as number]
    this.knownSince = start[2] as number
    this.history = new ClientHistory(memory[botMemory.clients] as SharedArrayBuffer)
    this.check = new CrawlerCheck(names, nowMs)
    this.clients = new Clients(this.#secret, [])
    this.signers = new Signers(
      new KeyDirectories(nowMs, surroundings.tell),
      new SharedNonces(memory[botMemory.nonces] as SharedArrayBuffer, this.#secret),
      clock,
    )
    recordDeeds(surroundings.hooks, (passage, visit, outcome) => this.#challenged(passage, visit, outcome))
  }

  #challenged(passage: Passage, visit: GuardVisit, outcome: ChallengeOutcome): void {
    if (outcome === 'used') this.#rememberSubject(passage, visit, deed.passedChallenge)
    else this.remember(passage, visit, challengeDeeds[outcome])
    if (outcome !== 'passed') return
    const network = this.networkRowOf(passage, visit)
    if (network >= 0) this.history.did(network, deed.passedChallenge, timeOf(passage))
  }

  async prepare(spec: GuardSpec): Promise<void> {
    try {
      const lists = readLists(spec, this.lists)
      if (lists !== this.lists) this.clients = new Clients(this.#secret, lists.book.crawlers)
      this.lists = lists
      this.signers.directories.take(spec.bots.signatureAgents)
    } catch (error) {
      // The main thread has read the same files a moment ago; what was read before stays.
      if (this.lists === null) throw error
      this.#surroundings.tell('guard', `lists of bots stay as they were: ${(error as Error).message}`)
    }
  }

  step(policy: CheckedGuardPolicy, route: GuardedRoute, spec: GuardSpec): GuardStep | null {
    return policy.risk === undefined ? null : new BotsStep(this, policy, route, spec)
  }

  answer(
    policy: CheckedGuardPolicy,
    _route: GuardedRoute,
    _spec: GuardSpec,
    behind: AnswerStep | null,
  ): AnswerStep | null {
    return policy.risk === undefined ? behind : new CookieStep(this, behind)
  }

  /** The row of the client; `shape` and `clients.hash` are not touched otherwise. */
  rowOf(passage: Passage, visit: GuardVisit, known: KnownAgent): number {
    const { clients } = this
    clients.hashClient(passage, visit, known)
    return this.history.row(clients.hash.low, clients.hash.high, timeOf(passage))
  }

  /** The row of its account or session; -1: neither is known. */
  subjectRowOf(passage: Passage, visit: GuardVisit): number {
    const { clients } = this
    if (!clients.hashSubject(visit)) return -1
    return this.history.row(clients.hash.low, clients.hash.high, timeOf(passage))
  }

  /** The row of its autonomous system; -1: nobody knows it. */
  networkRowOf(passage: Passage, visit: GuardVisit): number {
    const asn = visit.hooks.asn?.(passage.address)
    if (asn === undefined) return -1
    const { clients } = this
    clients.hashNetwork(asn)
    return this.history.row(clients.hash.low, clients.hash.high, timeOf(passage))
  }

  /** Its visit, where this part was asked about it: only requests of guarded routes have one. */
  visitOf(passage: Passage): GuardVisit | null {
    const { visit } = passage
    return visit !== null && 'addressKey' in visit ? (visit as unknown as GuardVisit) : null
  }

  knownOf({ head }: Passage): KnownAgent {
    return this.clients.known(head.value(fieldId['user-agent']) ?? '')
  }

  /** Of its client, and of its account or session. */
  remember(passage: Passage, visit: GuardVisit, what: number): void {
    this.history.did(this.rowOf(passage, visit, this.knownOf(passage)), what, timeOf(passage))
    this.#rememberSubject(passage, visit, what)
  }

  #rememberSubject(passage: Passage, visit: GuardVisit, what: number): void {
    const subject = this.subjectRowOf(passage, visit)
    if (subject >= 0) this.history.did(subject, what, timeOf(passage))
  }

  async close(): Promise<void> {
    this.check.close()
    this.signers.directories.close()
    for (const timer of this.slowed.values()) clearTimeout(timer)
    this.slowed.clear()
  }
}

/** Milliseconds modulo 2^32, as rows have them. */
function timeOf(passage: Passage): number {
  return Math.floor(passage.startedAt / 1_000) >>> 0
}

/**
 * What counts in full; what its address, browser and TLS library did, which may be others'; and of that what counts half,
 * because its account or session answers for itself.
 */
interface Score {
  own: number
  others: number
  halved: boolean
}

class BotsStep implements GuardStep {
  readonly name = 'bots'
  readonly #part: BotsPart
  readonly #policy: CheckedGuardPolicy
  readonly #spec: GuardSpec
  readonly #detects: boolean
  /** A waiting room's page asks again by itself, like a clock. */
  readonly #countsPages: boolean
  readonly #score: Score = { own: 0, others: 0, halved: false }

  constructor(part: BotsPart, policy: CheckedGuardPolicy, _route: GuardedRoute, spec: GuardSpec) {
    this.#part = part
    this.#policy = policy
    this.#spec = spec
    this.#detects = policy.detectOnly.includes('bots')
    this.#countsPages = policy.room === undefined
  }

  enter(passage: Passage, visit: GuardVisit): number {
    if (visit.allowed) return verdict.pass
    const part = this.#part
    const known = part.knownOf(passage)
    const agent = part.signers.agentOf(passage)
    if (agent !== null) return this.#crawler(visit, known.crawler, agent)
    let claim = 0
    if (known.crawler !== null) {
      const proof = part.check.proof(passage.address, known.crawler, (part.lists as BotLists).book)
      if (proof === crawlerProof.proven || !this.#isServed(known.crawler))
        return this.#crawler(visit, known.crawler, known.crawler.name)
      claim = riskBit[proof === crawlerProof.refuted ? 'fake-crawler' : 'unproven-crawler']
    }
    this.#measure(passage, visit, known, claim)
    if (this.#asksAboutFields(passage)) return this.#lookAtFields(passage, visit)
    return this.#answer(passage, visit)
  }

  // --- crawlers -----------------------------------------------------------------------------------------------

  #isServed({ purpose }: Crawler): boolean {
    const { bots } = this.#spec
    return (purpose === 'crawler' ? bots.crawlers : bots.aiCrawlers[purpose]) === 'allow'
  }

  /** One that is proven, or that says itself what is not served. */
  #crawler(visit: GuardVisit, crawler: Crawler | null, name: string): number {
    const served = crawler === null ? this.#spec.bots.crawlers === 'allow' : this.#isServed(crawler)
    if (served) return verdict.pass
    const purpose = crawler?.purpose ?? 'crawler'
    const finding = {
      step: this.name,
      rule: `crawler:${purpose}`,
      text: `The crawler ${name} (${purpose}) is not served.`,
      would: 'Nothing, as long as guard.bots refuses crawlers of this kind.',
    }
    return visit.refuse(finding, botRefusals.crawler, this.#detects)
  }

  // --- the score ----------------------------------------------------------------------------------------------

  /** Counts the request, and fills `#score`. */
  #measure(passage: Passage, visit: GuardVisit, known: KnownAgent, claim: number): void {
    const part = this.#part
    const { history, shape } = part
    const now = timeOf(passage)
    fillShape(shape, passage, known.agent)
    const page = this.#countsPages && asksForPage(shape, passage.head)
    const hasCookie = passage.head.firstOf(fieldId.cookie) >= 0
    const row = part.rowOf(passage, visit, known)
    const clientHash = part.clients.hash.low
    const subject = part.subjectRowOf(passage, visit)
    const trapped = part.lists?.honeypots.has(passage.path) === true && !isFramed(passage, known.agent)
    if (trapped) this.#trapped(row, subject, now)
    history.count(row, now, page, hasCookie)
    let own = claim | shapeRisk(shape) | this.#placeRisk(passage, visit)
    // Who has just asked for it did it, whoever it is.
    if (trapped) own |= riskBit.honeypot
    const client = history.risk(row, now)
    if (subject >= 0) own |= this.#subjectRisk(visit, row, subject, clientHash, now, hasCookie)
    const score = this.#score
    score.own = own
    score.others = (client | this.#networkRisk(passage, visit, now)) & ~own
    score.halved = subject >= 0 && history.isEstablished(subject, now)
  }

  #networkRisk(passage: Passage, visit: GuardVisit, now: number): number {
    const row = this.#part.networkRowOf(passage, visit)
    return row < 0 ? 0 : this.#part.history.networkRisk(row, now)
  }

  #trapped(row: number, subject: number, now: number): void {
    const { history } = this.#part
    history.did(row, deed.trap, now)
    if (subject >= 0) history.did(subject, deed.trap, now)
  }

  #subjectRisk(
    visit: GuardVisit,
    row: number,
    subject: number,
    clientHash: number,
    now: number,
    hasCookie: boolean,
  ): number {
    const { history, clients, knownSince } = this.#part
    history.count(subject, now, false, hasCookie)
    let bits = history.risk(subject, now)
    if (visit.account === '') return bits
    history.met(row, clients.hash.low, now)
    history.met(subject, clientHash, now)
    bits |= history.accountsRisk(row) | history.accountRisk(subject, now, knownSince)
    return bits
  }

  #placeRisk({ address }: Passage, visit: GuardVisit): number {
    const lists = this.#part.lists as BotLists
    if (!lists.dataCentres.isEmpty)
      for (const _ of lists.dataCentres.find(address)) return riskBit['data-centre']
    if (lists.dataCentreAsns.size === 0) return 0
    const asn = visit.hooks.asn?.(address)
    return asn !== undefined && lists.dataCentreAsns.has(asn) ? riskBit['data-centre'] : 0
  }

  // --- forms --------------------------------------------------------------------------------------------------

  #asksAboutFields({ head }: Passage): boolean {
    if (this.#spec.bots.honeypotFields.length === 0 || head.method === 'GET') return false
    const type = head.value(fieldId['content-type'])
    return type !== undefined && isForm(type)
  }

  #lookAtFields(passage: Passage, visit: GuardVisit): number {
    const { serial } = passage
    const { own, others, halved } = this.#score
    passage.holdBody(formBytesMax, body => {
      const type = passage.head.value(fieldId['content-type']) ?? ''
      const score = this.#score
      score.own = own
      score.others = others
      score.halved = halved
      if (
        body !== null &&
        !isFramed(passage, this.#part.knownOf(passage).agent) &&
        isFilledIn(body, type, this.#spec.bots.honeypotFields)
      ) {
        this.#part.remember(passage, visit, deed.field)
        score.own |= riskBit['honeypot-field']
        score.others &= ~score.own
      }
      const answer = this.#answer(passage, visit)
      if (answer !== verdict.pending) visit.resume(serial, answer)
    })
    return verdict.pending
  }

  // --- the answer ---------------------------------------------------------------------------------------------

  #answer(passage: Passage, visit: GuardVisit): number {
    const { own, others } = this.#score
    if ((own | others) === 0) return verdict.pass
    const risk = this.#policy.risk!
    for (const { points, text } of reasonsOf(own)) visit.addRisk(points, text)
    this.#addOthers(visit, Math.min(othersMax, risk.queueAt - 1, risk.refuseAt - 1))
    const answer = riskAnswerOf(visit.risk, risk)
    if (answer === riskAnswer.allow) return verdict.pass
    if (answer === riskAnswer.refuse)
      return visit.refuse(this.#finding(visit, 'refuse', risk.refuseAt), botRefusals.refused, this.#detects)
    if (answer === riskAnswer.slow) return this.#slow(passage, visit)
    const queues = answer === riskAnswer.queue && this.#policy.room !== undefined
    const [rule, at] = queues
      ? (['queue', risk.queueAt] as const)
      : (['challenge', risk.challengeAt] as const)
    visit.note({ ...this.#finding(visit, rule, at), detected: this.#detects })
    if (this.#detects) return verdict.pass
    if (queues) visit.queueForEver = true
    visit.wantsChallenge = true
    return verdict.pass
  }

  /** Nobody is refused, or waits for ever, for what a neighbour may have done. */
  #addOthers(visit: GuardVisit, upTo: number): void {
    const { others, halved } = this.#score
    for (const { points, text } of reasonsOf(others)) {
      const added = Math.min(halved ? Math.floor(points / 2) : points, upTo - visit.risk)
      if (added > 0) visit.addRisk(added, halved ? `${text} (others of its address did)` : text)
    }
  }

  #finding(
    visit: GuardVisit,
    rule: string,
    at: number,
  ): { step: string; rule: string; text: string; would: string } {
    return {
      step: this.name,
      rule: `risk:${rule}`,
      text: `Risk ${visit.risk} of 100: ${visit.riskReasons.join('; ')}.`,
      would: `A risk below ${at}.`,
    }
  }

  #slow(passage: Passage, visit: GuardVisit): number {
    const { slowed } = this.#part
    const { slowMs, slowAt } = this.#policy.risk!
    const finding = this.#finding(visit, 'slow', slowAt)
    if (this.#detects) {
      visit.note({ ...finding, detected: true })
      return verdict.pass
    }
    if (slowed.size >= slowedMax) return visit.refuse(finding, botRefusals.slowFull, false)
    visit.note({ ...finding, detected: false })
    const { serial } = passage
    slowed.set(
      visit,
      setTimeout(() => {
        slowed.delete(visit)
        visit.resume(serial, verdict.pass)
      }, slowMs),
    )
    return verdict.pending
  }

  over(_passage: Passage, visit: GuardVisit): void {
    const { slowed } = this.#part
    if (slowed.size === 0) return
    const timer = slowed.get(visit)
    if (timer === undefined) return
    clearTimeout(timer)
    slowed.delete(visit)
  }
}
