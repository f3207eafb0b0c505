// One request under the rules of a plan: runs each phase's rules in order, keeps TX, scores and what matched. Bounded by
// counts and by work in steps; past a bound nothing more is asked, and the judgement says so.

import { Work } from '../matcher/work.ts'
import { integer } from '../operators/index.ts'
import type { Scene } from '../operators/operator.ts'
import { isInIds } from '../seclang/load.ts'
import type { Target, VariableChange } from '../seclang/rule.ts'
import { readTarget } from '../seclang/targets.ts'
import type {
  WafAnswer,
  WafBody,
  WafJudgement,
  WafMatch,
  WafRequest,
  WafTransaction,
} from '../transaction.ts'
import { Entries, type Entry } from './entries.ts'
import type { PlannedRule, RulePlan } from './plan.ts'
import { entriesOf, matchesTarget } from './targets.ts'
import type { Value } from './value.ts'

export interface TransactionSettings {
  /** Variables of TX before the first rule: thresholds, paranoia. Rules that set them are not heard. */
  readonly held: ReadonlyMap<string, string>
  /** Variables of TX before the first rule that rules may change. */
  readonly given: ReadonlyMap<string, string>
  /** The first refusal ends it: what the rest would say is not asked. */
  readonly endsAtRefusal: boolean
  readonly inboundThreshold: number
  readonly outboundThreshold: number
  readonly workMax: number
  /** Steps after which a request whose score is reached is refused at once, where the first refusal ends it. */
  readonly enoughWork: number
}

export const limits = {
  /** Arguments of a request, all kinds together. */
  arguments: 4096,
  /** Matches that are kept; the scores count all. */
  matches: 64,
  /** Variables of TX. */
  variables: 4000,
  /** Bytes of a variable of TX. */
  variableBytes: 4096,
  excerpt: 32,
} as const

/** Fields whose values are credentials: an excerpt of them would be one too. */
const secretNames = /(?:authorization|cookie|token|secret|passw|api-?key|session|credential|card|cvv|pin$)/i

class Transaction implements WafTransaction, Scene {
  readonly work: Work
  readonly #plan: RulePlan
  readonly #settings: TransactionSettings
  readonly #entries = new Entries()
  readonly #tx: Map<string, string>
  readonly #matches: WafMatch[] = []
  readonly #removedRules: string[] = []
  readonly #removedTags: Set<string> = new Set()
  readonly #removedMessages: Set<string> = new Set()
  readonly #removedTargets: { ids: string; tag: string; message: string; target: Target }[] = []
  #lists: (Entry[] | undefined)[] = []
  #refused: { rule: string; message: string; status: number } | null = null
  #over = false
  #off = false
  #skipPhase = false
  /** The score of requests is at the threshold: no rule takes it back (`lowersScores`). */
  #reached = false
  /** A rule has taken others out. */
  #removes = false
  #matched: { entry: Entry; value: Value } | null = null
  #matchedAll: Entry[] = []
  /** What the rule itself found, not the rest of its chain: what an exclusion would have to name. */
  #found: Entry | null = null
  #rule: PlannedRule | null = null
  #forceBody = false
  #tooMany = false
  readonly #mayEndEarly: boolean

  constructor(plan: RulePlan, settings: TransactionSettings) {
    this.#plan = plan
    this.#settings = settings
    this.#mayEndEarly = settings.endsAtRefusal && !plan.lowersScores
    this.work = new Work(settings.workMax)
    this.#tx = new Map([...settings.given, ...settings.held])
  }

  get judgement(): WafJudgement {
    return {
      refused: this.#refused,
      inboundScore: this.#score('inbound_', 'anomaly_score', 'blocking_inbound_anomaly_score'),
      outboundScore: this.#score('outbound_', 'outbound_anomaly_score', 'blocking_outbound_anomaly_score'),
      matches: this.#matches,
      exhausted: this.work.exhausted || this.#tooMany,
    }
  }

  requestHead(request: WafRequest): void {
    this.#entries.request(request)
    this.#countArguments()
    this.#run(1)
  }

  requestBody(body: WafBody | null): void {
    const seen =
      body !== null && !this.#forceBody && body.processor !== 'URLENCODED' && body.processor !== ''
        ? { ...body, text: '' }
        : body
    this.#entries.body(seen)
    this.#countArguments()
    this.#run(2)
    this.#byScore('inbound', this.#settings.inboundThreshold)
  }

  wantsAnswerBody(type: string): boolean {
    return (
      this.#plan.looksAtAnswers &&
      /^(?:text\/|application\/(?:[\w.+-]*json|[\w.+-]*xml|javascript))/i.test(type)
    )
  }

  answerHead(answer: WafAnswer): void {
    this.#entries.answer(answer)
    this.#run(3)
  }

  answerBody(text: string): void {
    this.#entries.set('RESPONSE_BODY', text)
    this.#run(4)
    this.#byScore('outbound', this.#settings.outboundThreshold)
  }

  expand(text: string): string {
    if (!text.includes('%{')) return text
    return text.replace(/%\{([^}]{1,200})\}/g, (_, name: string) => this.#macro(name.toLowerCase()))
  }

  #macro(name: string): string {
    if (name.startsWith('tx.')) return this.#tx.get(name.slice(3)) ?? ''
    switch (name) {
      case 'matched_var':
        return this.#matched?.value.text ?? ''
      case 'matched_var_name':
        return this.#matched === null ? '' : fullName(this.#matched.entry)
      case 'rule.id':
        return this.#rule?.id ?? ''
      case 'rule.msg':
        return this.#rule?.actions.message ?? ''
      case 'rule.severity':
        return this.#rule?.actions.severity ?? ''
    }
    const dot = name.search(/[.:]/)
    const collection = (dot < 0 ? name : name.slice(0, dot)).toUpperCase()
    const key = dot < 0 ? '' : name.slice(dot + 1)
    const found = this.#entries.list(collection).find(entry => key === '' || entry.key === key)
    return found?.value.text ?? ''
  }

  #countArguments(): void {
    if (this.#entries.list('ARGS').length > limits.arguments) this.#tooMany = true
  }

  #run(phase: number): void {
    if (this.#over || this.#off) return
    if (this.#tooMany) return
    this.#lists = new Array(this.#plan.targetLists)
    this.#skipPhase = false
    const rules = this.#plan.phases[phase]!
    for (let index = 0; index < rules.length; ) {
      const rule = rules[index]!
      index += 1
      if (this.#reached && this.#hasEnough()) return
      if (this.#isRemoved(rule) || !this.#holds(rule)) continue
      this.#reached ||=
        phase === 2 && this.#mayEndEarly && this.judgement.inboundScore >= this.#settings.inboundThreshold
      if (this.#over || this.#skipPhase || this.work.exhausted) return
      if (rule.jump >= 0) index = rule.jump
      index += rule.actions.skip
      if (this.work.exhausted) return
    }
  }

  /** Ordinary requests are explained whole; a dear one is not paid for further once it is to be refused anyway. */
  #hasEnough(): boolean {
    if (this.work.most - this.work.left < this.#settings.enoughWork) return false
    this.#byScore('inbound', this.#settings.inboundThreshold, '; rules after that were not asked')
    this.#over = true
    return true
  }

  /** Rule and its chain, with what follows from it. */
  #holds(rule: PlannedRule): boolean {
    this.#rule = rule
    this.#matchedAll = []
    this.#found = null
    if (!this.#matchesOne(rule, rule)) return false
    for (const one of rule.chained) if (!this.#matchesOne(one, rule)) return false
    this.#rule = rule
    this.#record(rule)
    this.#disrupt(rule)
    return true
  }

  #matchesOne(rule: PlannedRule, first: PlannedRule): boolean {
    const { operator } = rule
    if (operator === null) {
      this.#act(rule)
      return true
    }
    if (operator.never === true) return false
    let any = false
    for (const entry of this.#entriesFor(rule, first)) {
      const value = this.#matchingValue(rule, entry)
      if (this.work.exhausted) return false
      if (value === null) continue
      any = true
      this.#matched = { entry, value: entry.value }
      if (rule === first) this.#found = entry
      if (this.#matchedAll.length < limits.matches) this.#matchedAll.push(entry)
      if (rule.actions.capture && !rule.negated) this.#capture(rule, value)
      this.#act(rule)
    }
    return any
  }

  #matchingValue(rule: PlannedRule, entry: Entry): Value | null {
    for (const chain of rule.steps) {
      const value = entry.value.transformed(chain, this.work)
      if (this.work.exhausted) return null
      if (rule.operator!.test(value, this) !== rule.negated && !this.work.exhausted) return value
    }
    return null
  }

  #entriesFor(rule: PlannedRule, first: PlannedRule): readonly Entry[] {
    let entries = rule.targetsIndex < 0 ? undefined : this.#lists[rule.targetsIndex]
    if (entries === undefined) {
      entries = entriesOf(
        rule.targets,
        rule.without,
        (collection, key) => this.#list(collection, key),
        this.#entries,
      )
      if (rule.targetsIndex >= 0) this.#lists[rule.targetsIndex] = entries
    }
    if (this.#removedTargets.length === 0) return entries
    const removed = this.#removedTargets.filter(
      ({ ids, tag, message }) =>
        (ids !== '' && isInIds(first.id, ids)) ||
        (tag !== '' && first.actions.tags.includes(tag)) ||
        (message !== '' && first.actions.message === message),
    )
    if (removed.length === 0) return entries
    return entries.filter(entry => !removed.some(one => matchesTarget(one.target, entry)))
  }

  #list(collection: string, key: string): readonly Entry[] {
    switch (collection) {
      case 'TX':
        if (key !== '') return this.#variable(key)
        return [...this.#tx].map(([key, text]) => this.#entry('TX', key, text))
      case 'MATCHED_VAR':
        return this.#matched === null ? [] : [this.#entry(collection, '', this.#matched.value.text)]
      case 'MATCHED_VAR_NAME':
        return this.#matched === null ? [] : [this.#entry(collection, '', fullName(this.#matched.entry))]
      case 'MATCHED_VARS':
        return this.#matchedAll.map(one => this.#entry(collection, fullName(one), one.value.text))
      case 'MATCHED_VARS_NAMES':
        return this.#matchedAll.map(one => this.#entry(collection, fullName(one), fullName(one)))
      case 'DURATION':
        return [this.#entry(collection, '', '0')]
    }
    return this.#entries.list(collection)
  }

  #variable(key: string): readonly Entry[] {
    const text = this.#tx.get(key)
    return text === undefined ? [] : [this.#entry('TX', key, text)]
  }

  #entry(collection: string, name: string, text: string): Entry {
    return { collection, name, key: name.toLowerCase(), value: this.#entries.value(text), again: false }
  }

  #capture(rule: PlannedRule, value: Value): void {
    const texts = rule.operator!.captures?.(value, this) ?? []
    for (let index = 0; index < 10; index += 1) {
      const text = texts[index]
      if (text === undefined) this.#tx.delete(String(index))
      else this.#tx.set(String(index), text.slice(0, limits.variableBytes))
    }
  }

  /** What happens at each match, whatever the rest of the chain says. */
  #act(rule: PlannedRule): void {
    for (const change of rule.actions.changes) this.#change(change)
    for (const { name, value } of rule.actions.controls) this.#control(name, value)
  }

  #change(change: VariableChange): void {
    const name = this.expand(change.name).toLowerCase()
    if (!name.startsWith('tx.')) return
    const key = name.slice(3)
    if (this.#settings.held.has(key)) return
    if (change.change === 'remove') {
      this.#tx.delete(key)
      return
    }
    if (!this.#tx.has(key) && this.#tx.size >= limits.variables) {
      this.#tooMany = true
      return
    }
    const text = this.expand(change.value)
    if (change.change === 'set') {
      this.#tx.set(key, text.slice(0, limits.variableBytes))
      return
    }
    const sign = change.change === 'add' ? 1 : -1
    this.#tx.set(key, String(integer(this.#tx.get(key) ?? '') + sign * integer(text)))
  }

  #control(name: string, value: string): void {
    switch (name) {
      case 'ruleengine':
        if (value.toLowerCase() === 'off') this.#off = true
        if (value.toLowerCase() === 'off') this.#skipPhase = true
        return
      case 'forcerequestbodyvariable':
        this.#forceBody = value.toLowerCase() === 'on'
        return
      case 'ruleremovebyid':
        this.#removes = true
        this.#removedRules.push(value)
        return
      case 'ruleremovebytag':
        this.#removes = true
        this.#removedTags.add(value)
        return
      case 'ruleremovebymsg':
        this.#removes = true
        this.#removedMessages.add(value)
        return
      case 'ruleremovetargetbyid':
      case 'ruleremovetargetbytag':
      case 'ruleremovetargetbymsg':
        this.#removeTarget(name, value)
    }
  }

  #removeTarget(name: string, value: string): void {
    const at = value.indexOf(';')
    if (at < 0) return
    const which = value.slice(0, at).trim()
    const target = readTarget(value.slice(at + 1).trim(), { file: 'ctl', line: 1 })
    this.#removedTargets.push({
      ids: name.endsWith('id') ? which : '',
      tag: name.endsWith('tag') ? which : '',
      message: name.endsWith('msg') ? which : '',
      target,
    })
  }

  #isRemoved(rule: PlannedRule): boolean {
    if (!this.#removes) return false
    if (this.#removedRules.length > 0 && this.#removedRules.some(text => isInIds(rule.id, text))) return true
    if (this.#removedTags.size > 0 && rule.actions.tags.some(tag => this.#removedTags.has(tag))) return true
    return this.#removedMessages.has(rule.actions.message)
  }

  #record(rule: PlannedRule): void {
    const { actions } = rule
    const last = rule.chained.at(-1)?.actions
    if (!actions.logs || (actions.message === '' && !refuses(rule))) return
    if (this.#matches.length >= limits.matches) return
    const entry = this.#found ?? this.#matched?.entry ?? null
    this.#matches.push({
      rule: rule.id,
      message: this.expand(actions.message || (last?.message ?? '')),
      variable: entry === null ? '' : printable(fullName(entry), 128),
      excerpt: entry === null ? '' : excerptOf(entry, this.#tx.get('0') ?? ''),
      severity: actions.severity,
      tags: actions.tags,
    })
  }

  #disrupt(rule: PlannedRule): void {
    if (rule.disruption === 'allow') {
      if (rule.actions.allows === 'phase') this.#skipPhase = true
      else this.#over = true
      return
    }
    if (!refuses(rule) || this.#refused !== null) return
    this.#refused = { rule: rule.id, message: this.expand(rule.actions.message), status: rule.status }
    if (this.#settings.endsAtRefusal) this.#over = true
  }

  /** Rule sets without a rule that weighs the score: it is weighed anyway. */
  #byScore(kind: 'inbound' | 'outbound', threshold: number, how = ''): void {
    if (this.#refused !== null) return
    const { inboundScore, outboundScore } = this.judgement
    const score = kind === 'inbound' ? inboundScore : outboundScore
    if (score < threshold) return
    this.#refused = {
      rule: `${kind}-score`,
      message: `the score is ${score}, the threshold ${threshold}${how}`,
      status: 403,
    }
  }

  #score(direction: string, ...totals: readonly string[]): number {
    for (const name of totals) {
      const text = this.#tx.get(name)
      if (text !== undefined && integer(text) > 0) return integer(text)
    }
    const paranoia = integer(this.#tx.get('blocking_paranoia_level') ?? this.#tx.get('paranoia_level') ?? '1')
    let sum = 0
    for (let level = 1; level <= paranoia; level += 1) {
      sum += integer(this.#tx.get(`${direction}anomaly_score_pl${level}`) ?? '')
      if (direction === 'inbound_') sum += integer(this.#tx.get(`anomaly_score_pl${level}`) ?? '')
    }
    return sum
  }
}

export function openTransaction(plan: RulePlan, settings: TransactionSettings): WafTransaction {
  return new Transaction(plan, settings)
}

function refuses(rule: PlannedRule): boolean {
  return rule.disruption === 'deny' || rule.disruption === 'drop'
}

function fullName(entry: Entry): string {
  return entry.name === '' ? entry.collection : `${entry.collection}:${entry.name}`
}

function excerptOf(entry: Entry, matched: string): string {
  if (secretNames.test(entry.name) || entry.collection === 'REQUEST_COOKIES') return ''
  return printable(matched || entry.value.text, limits.excerpt)
}

/** Control characters and what is no ASCII as `\xHH`: it goes to logs and pages. */
function printable(text: string, max: number): string {
  return text
    .slice(0, max)
    .replace(/[^\x20-\x7e]/g, one => `\\x${one.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
