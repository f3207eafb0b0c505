// Reads rule files as they are: directives into rules, chains joined, what refers to other rules applied at the end.
// What is not understood is refused with its place; what is left out on purpose is named in `notes`, once.

import { PatternError } from '../matcher/pattern.ts'
import { compileOperator, neverMatching } from '../operators/index.ts'
import { OperatorError } from '../operators/operator.ts'
import type { Registry } from '../operators/registry.ts'
import { readActions } from './actions.ts'
import { type Directive, RuleSyntaxError, readDirectives } from './lines.ts'
import type { Actions, Item, Place, Rule, Target } from './rule.ts'
import { emptyCollections, readTargets } from './targets.ts'

export interface RuleSource {
  readonly file: string
  /** A byte string. */
  readonly text: string
  /** A file that its rules name, as a byte string; throws when there is none. */
  readFile(name: string): string
}

/** What SecDefaultAction says of a phase. */
export interface DefaultAction {
  readonly disruption: Actions['disruption']
  readonly status: number
  readonly transformations: readonly string[]
}

export interface LoadedRules {
  readonly items: readonly Item[]
  readonly defaults: ReadonlyMap<number, DefaultAction>
  /** What was left out, for whoever starts it. */
  readonly notes: readonly string[]
}

/** Settings of the engine that the system file has instead, or that have no meaning here. */
const settings: ReadonlySet<string> = new Set(
  (
    'SecComponentSignature SecRuleEngine SecRequestBodyAccess SecRequestBodyLimit SecRequestBodyNoFilesLimit ' +
    'SecRequestBodyInMemoryLimit SecRequestBodyLimitAction SecRequestBodyJsonDepthLimit SecResponseBodyAccess ' +
    'SecResponseBodyLimit SecResponseBodyLimitAction SecResponseBodyMimeType SecResponseBodyMimeTypesClear SecPcreMatchLimit ' +
    'SecPcreMatchLimitRecursion SecTmpDir SecDataDir SecUploadDir SecUploadKeepFiles SecUploadFileMode SecUploadFileLimit ' +
    'SecDebugLog SecDebugLogLevel SecAuditEngine SecAuditLogRelevantStatus SecAuditLogParts SecAuditLogType SecAuditLogFormat ' +
    'SecAuditLog SecAuditLog2 SecAuditLogStorageDir SecAuditLogDirMode SecAuditLogFileMode SecArgumentSeparator ' +
    'SecArgumentsLimit SecCookieFormat SecUnicodeMapFile SecUnicodeCodePage SecStatusEngine SecCollectionTimeout ' +
    'SecServerSignature SecSensorId SecWebAppId SecConnEngine SecInterceptOnError SecXmlExternalEntity SecGeoLookupDb ' +
    'SecHttpBlKey SecGsbLookupDb SecGuardianLog'
  )
    .toLowerCase()
    .split(' '),
)

/** Rules being read, in pieces where it may take long. */
export class Loading {
  readonly items: Item[] = []
  readonly defaults: Map<number, DefaultAction> = new Map()
  readonly left: Map<string, number> = new Map()
  readonly registry: Registry
  /** A chain that waits for its next rule. */
  open: { first: Rule; chained: Rule[] } | null = null
  lastPlace: Place = { file: '', line: 0 }

  constructor(registry: Registry) {
    this.registry = registry
  }

  takeAll(directives: readonly Directive[], source: RuleSource): void {
    for (const directive of directives) takeOne(this, directive, source)
  }

  endFile(): void {
    if (this.open !== null) throw new RuleSyntaxError(this.lastPlace, 'a chain has no end')
  }

  get result(): LoadedRules {
    const notes = [...this.left].map(
      ([what, count]) => `${what} in ${count} ${count === 1 ? 'place' : 'places'}`,
    )
    return { items: this.items, defaults: this.defaults, notes }
  }

  leave(what: string): void {
    this.left.set(what, (this.left.get(what) ?? 0) + 1)
  }

  take(directive: Directive, source: RuleSource): void {
    const { name, words, place } = directive
    this.lastPlace = place
    switch (name.toLowerCase()) {
      case 'secrule':
        this.rule(words, place, source)
        return
      case 'secaction':
        this.add(this.action(words, place), place)
        return
      case 'secmarker':
        this.items.push({ kind: 'marker', name: words[0] ?? '' })
        return
      case 'secdefaultaction':
        this.defaultAction(words[0] ?? '', place)
        return
      case 'secruleremovebyid':
        this.remove(words, ({ actions }, text) => isInIds(actions.id, text))
        return
      case 'secruleremovebytag':
        this.remove(words, ({ actions }, text) => actions.tags.includes(text))
        return
      case 'secruleremovebymsg':
        this.remove(words, ({ actions }, text) => actions.message === text)
        return
      case 'secruleupdatetargetbyid':
        this.update(words, place, (rule, text) => isInIds(rule.actions.id, text))
        return
      case 'secruleupdatetargetbytag':
        this.update(words, place, (rule, text) => rule.actions.tags.includes(text))
        return
      case 'secruleupdatetargetbymsg':
        this.update(words, place, (rule, text) => rule.actions.message === text)
        return
    }
    if (!settings.has(name.toLowerCase())) {
      throw new RuleSyntaxError(place, `the directive ${name} is not supported`)
    }
    if (name !== 'SecComponentSignature') this.leave(`${name} (the system file says this)`)
  }

  rule(words: readonly string[], place: Place, source: RuleSource): void {
    if (words.length < 2)
      throw new RuleSyntaxError(place, 'a SecRule needs variables, an operator and actions')
    const { targets, without } = readTargets(words[0]!, place)
    const found = /^(!?)\s*(?:@(\w+)\s*)?([\s\S]*)$/.exec(words[1]!)!
    const operator = compileOperator(found[2] ?? 'rx', (found[3] ?? '').trimEnd(), {
      registry: this.registry,
      readFile: name => source.readFile(name),
    })
    if (neverMatching.has(operator.name)) this.leave(`@${operator.name}`)
    for (const target of targets) {
      if (emptyCollections.has(target.collection)) this.leave(`variable ${target.collection}`)
    }
    const actions = readActions(words[2] ?? '', place)
    this.add(
      { kind: 'rule', place, targets, without, operator, negated: found[1] === '!', actions, chained: [] },
      place,
    )
  }

  action(words: readonly string[], place: Place): Rule {
    const actions = readActions(words[0] ?? '', place)
    return {
      kind: 'rule',
      place,
      targets: [],
      without: [],
      operator: null,
      negated: false,
      actions,
      chained: [],
    }
  }

  add(rule: Rule, place: Place): void {
    if (this.open === null) {
      if (rule.actions.id === '') throw new RuleSyntaxError(place, 'a rule needs an id')
      if (rule.actions.chain) this.open = { first: rule, chained: [] }
      else this.items.push(rule)
      return
    }
    this.open.chained.push(rule)
    if (rule.actions.chain) return
    this.items.push({ ...this.open.first, chained: this.open.chained })
    this.open = null
  }

  defaultAction(text: string, place: Place): void {
    const { phase, disruption, status, transformations } = readActions(text, place)
    this.defaults.set(phase, { disruption, status, transformations })
  }

  remove(words: readonly string[], chosen: (rule: Rule, text: string) => boolean): void {
    for (let index = this.items.length - 1; index >= 0; index -= 1) {
      const item = this.items[index]!
      if (item.kind === 'rule' && words.some(text => chosen(item, text))) this.items.splice(index, 1)
    }
  }

  /** A third word replaces targets; that is not needed by rule sets, and refused. */
  update(words: readonly string[], place: Place, chosen: (rule: Rule, text: string) => boolean): void {
    if (words.length !== 2)
      throw new RuleSyntaxError(place, 'it needs a rule and its variables, and nothing more')
    const { targets, without } = readTargets(words[1]!, place)
    for (const [index, item] of this.items.entries()) {
      if (item.kind === 'rule' && chosen(item, words[0]!)) {
        this.items[index] = withTargets(item, targets, without)
      }
    }
  }
}

/** Further targets and exceptions for a rule and the rest of its chain. */
export function withTargets(rule: Rule, targets: readonly Target[], without: readonly Target[]): Rule {
  const chained = rule.chained.map(one => withTargets(one, [], without))
  return { ...rule, targets: [...rule.targets, ...targets], without: [...rule.without, ...without], chained }
}

/** `942100`, `942100-942190`, several with blanks or commas. */
export function isInIds(id: string, text: string): boolean {
  return text.split(/[\s,]+/).some(piece => {
    const range = /^(\d+)-(\d+)$/.exec(piece)
    if (range === null) return piece === id
    return Number(id) >= Number(range[1]) && Number(id) <= Number(range[2])
  })
}

/** Throws a RuleSyntaxError. */
export function loadRules(sources: readonly RuleSource[], registry: Registry): LoadedRules {
  const loading = new Loading(registry)
  for (const source of sources) {
    loading.takeAll(readDirectives(source.text, source.file), source)
    loading.endFile()
  }
  return loading.result
}

function takeOne(loading: Loading, directive: Directive, source: RuleSource): void {
  try {
    loading.take(directive, source)
  } catch (error) {
    if (error instanceof OperatorError || error instanceof PatternError) {
      throw new RuleSyntaxError(directive.place, error.message)
    }
    throw error
  }
}
