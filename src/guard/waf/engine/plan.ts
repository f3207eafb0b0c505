// A policy's rules as the engine runs them: by phase, without what the policy excludes, jumps and transformations
// resolved. Made off the way of requests; the compiled operators are shared by all policies of the same files.

import { Work } from '../matcher/work.ts'
import type { Operator } from '../operators/operator.ts'
import type { Registry } from '../operators/registry.ts'
import { isInIds, type LoadedRules, withTargets } from '../seclang/load.ts'
import type { Actions, Disruption, Item, Rule, Target } from '../seclang/rule.ts'
import { readTarget } from '../seclang/targets.ts'
import { type Chain, Chains, Value } from './value.ts'

export interface PlannedRule {
  readonly id: string
  readonly targets: readonly Target[]
  readonly without: readonly Target[]
  /** Equal for rules that look at the same variables; -1: they may change within a phase. */
  readonly targetsIndex: number
  readonly operator: Operator | null
  readonly negated: boolean
  readonly chain: Chain | null
  /** Of `multiMatch`: each list on the way to `chain`. */
  readonly steps: readonly (Chain | null)[]
  readonly actions: Actions
  readonly disruption: Disruption
  readonly status: number
  readonly chained: readonly PlannedRule[]
  /** Index in its phase of what comes after `skipAfter`; -1: it doesn't. */
  jump: number
}

export interface PlanSettings {
  /** Rules that are off: `942100`, `942100-942190`, `tag:attack-sqli`, or `941100;ARGS:bio` for one variable. */
  readonly exclude: readonly string[]
  /** Variables of TX that no rule changes: what asks only them is decided here. */
  readonly held: ReadonlyMap<string, string>
}

export interface RulePlan {
  /** By phase, 0 unused; 5 is never run. */
  readonly phases: readonly (readonly PlannedRule[])[]
  readonly registry: Registry
  readonly targetLists: number
  readonly ruleCount: number
  /** Names of variables that a rule of the answer's body looks at. */
  readonly looksAtAnswers: boolean
  /** A rule of phase 2 takes from a score, sets one or lets requests pass: what is reached may be taken back. */
  readonly lowersScores: boolean
}

/** What changes while rules run, so lists of it are not kept. */
const moving = new Set([
  'TX',
  'MATCHED_VAR',
  'MATCHED_VARS',
  'MATCHED_VAR_NAME',
  'MATCHED_VARS_NAMES',
  'DURATION',
])

class Planning {
  readonly chains = new Chains()
  readonly #lists: Map<string, number> = new Map()
  readonly #defaults: LoadedRules['defaults']

  constructor(defaults: LoadedRules['defaults']) {
    this.#defaults = defaults
  }

  get listCount(): number {
    return this.#lists.size
  }

  rule(rule: Rule, phase: number): PlannedRule {
    const defaults = this.#defaults.get(phase)
    const { actions } = rule
    const names = actions.transformations
    const chain = this.chains.get(names)
    // A block without SecDefaultAction only counts, as in anomaly scoring.
    const block = defaults?.disruption ?? 'pass'
    const blocks = actions.disruption === 'block' && block !== 'pass'
    return {
      id: actions.id,
      targets: rule.targets,
      without: rule.without,
      targetsIndex: this.#listIndex(rule),
      operator: rule.operator,
      negated: rule.negated,
      chain,
      steps: actions.multiMatch
        ? [null, ...names.map((_, at) => this.chains.get(names.slice(0, at + 1)))]
        : [chain],
      actions,
      disruption: actions.disruption === 'block' ? block : actions.disruption,
      status: blocks ? (defaults?.status ?? 403) : actions.status,
      chained: rule.chained.map(one => this.rule(one, phase)),
      jump: -1,
    }
  }

  #listIndex(rule: Rule): number {
    if (rule.targets.some(target => moving.has(target.collection))) return -1
    const key = `${rule.targets.map(spelled).join('|')}!${rule.without.map(spelled).join('|')}`
    const known = this.#lists.get(key)
    if (known !== undefined) return known
    this.#lists.set(key, this.#lists.size)
    return this.#lists.size - 1
  }
}

function spelled(target: Target): string {
  return `${target.count ? '&' : ''}${target.collection}:${target.pattern === null ? target.key : `/${target.pattern.source}/`}`
}

export function planRules(loaded: LoadedRules, registry: Registry, settings: PlanSettings): RulePlan {
  const planning = new Planning(loaded.defaults)
  const items = withoutDecided(applyExclusions(loaded.items, settings.exclude), settings.held)
  const phases: PlannedRule[][] = [[], [], [], [], [], []]
  const byName = new Map<string, { rule: PlannedRule; phase: number }[]>()
  let ruleCount = 0
  for (const item of items) {
    if (item.kind === 'marker') {
      for (const { rule, phase } of byName.get(item.name) ?? []) rule.jump = phases[phase]!.length
      byName.delete(item.name)
      continue
    }
    const phase = item.actions.phase
    const rule = planning.rule(item, phase)
    phases[phase]!.push(rule)
    ruleCount += 1
    const name = skipName(item)
    if (name === '') continue
    rule.jump = Number.MAX_SAFE_INTEGER
    const list = byName.get(name) ?? []
    list.push({ rule, phase })
    byName.set(name, list)
  }
  const looksAtAnswers = phases[4]!.some(rule => rule.targets.some(one => one.collection === 'RESPONSE_BODY'))
  const lowersScores = phases[2]!.some(rule => [rule, ...rule.chained].some(lowers))
  return { phases, registry, targetLists: planning.listCount, ruleCount, looksAtAnswers, lowersScores }
}

/** Said too often rather than too rarely: then rules are asked to their end. */
function lowers({ disruption, actions }: PlannedRule): boolean {
  if (disruption === 'allow') return true
  if (actions.controls.some(({ name, value }) => name === 'ruleengine' && value.toLowerCase() !== 'on'))
    return true
  return actions.changes.some(({ name, change, value }) => {
    if (!mayBeScore(name.toLowerCase())) return false
    const known = /^%\{tx\.(?:\w+_)?anomaly_score(?:_pl\d)?\}$/i.test(value)
    return change === 'add' ? !known && !/^\d+$/.test(value) : change !== 'set' || !known
  })
}

const scores = ['tx.anomaly_score', 'tx.inbound_anomaly_score', 'tx.blocking_inbound_anomaly_score']

function mayBeScore(name: string): boolean {
  const macro = name.indexOf('%{')
  if (macro < 0) return scores.some(score => name.startsWith(score)) && !name.endsWith('_threshold')
  const known = name.slice(0, macro)
  return scores.some(score => score.startsWith(known) || known.startsWith(score))
}

/**
 * Half of the Core Rule Set are the rules of higher paranoia levels, and those that jump over them. `@lt 2` of the level
 * never changes: such a rule goes, and with it what it jumps over.
 */
function withoutDecided(items: readonly Item[], held: ReadonlyMap<string, string>): readonly Item[] {
  const skipping = new Map<number, string>()
  const kept: Item[] = []
  for (const item of items) {
    if (item.kind === 'marker') {
      for (const [phase, name] of skipping) if (name === item.name) skipping.delete(phase)
      kept.push(item)
      continue
    }
    const { phase, skipAfter } = item.actions
    if (skipping.has(phase)) continue
    const decided = decision(item, held)
    if (decided === null || (decided && !onlyJumps(item))) kept.push(item)
    else if (decided) skipping.set(phase, skipAfter)
  }
  return kept
}

function onlyJumps({ actions }: Rule): boolean {
  const { skipAfter, changes, controls, disruption } = actions
  return skipAfter !== '' && changes.length + controls.length === 0 && disruption === 'pass' && !actions.logs
}

/** Null: only a request can tell. */
function decision(rule: Rule, held: ReadonlyMap<string, string>): boolean | null {
  const [target, ...others] = rule.targets
  if (target?.collection !== 'TX' || target.count || target.pattern !== null || others.length > 0) return null
  const text = held.get(target.key)
  if (text === undefined || rule.operator === null || rule.without.length > 0) return null
  if (rule.actions.transformations.length > 0 || (rule.chained.length > 0 && rule.actions.changes.length > 0))
    return null
  let fixed = true
  const expand = (parameter: string): string => {
    if (parameter.includes('%{')) fixed = false
    return parameter
  }
  const matches = rule.operator.test(new Value(text), { work: new Work(1e6), expand }) !== rule.negated
  if (!fixed || (matches && rule.chained.length > 0)) return null
  return matches
}

function skipName(rule: Rule): string {
  return rule.actions.skipAfter
}

function applyExclusions(items: readonly Item[], exclude: readonly string[]): readonly Item[] {
  let kept = items
  for (const text of exclude) {
    const [which, variable] = text.split(';')
    const chosen = (item: Item): item is Rule => item.kind === 'rule' && isChosen(item, which!.trim())
    if (variable === undefined) kept = kept.filter(item => !chosen(item))
    else {
      const target = readTarget(variable.trim(), { file: 'waf.exclude', line: 1 })
      kept = kept.map(item => (chosen(item) ? withTargets(item, [], [target]) : item))
    }
  }
  return kept
}

function isChosen(rule: Rule, which: string): boolean {
  return which.startsWith('tag:')
    ? rule.actions.tags.includes(which.slice(4))
    : isInIds(rule.actions.id, which)
}
