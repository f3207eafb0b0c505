// The walk over a query and the queries inside it: builds their scopes, notes what their conditions say of keys, and finds
// how the rows of each are spread. Conditions are believed only for whom they hold: an outer join's do not restrict the side
// that is kept, and nothing said inside a query with a LIMIT comes in from outside.

import { dotted, field, list, number, opened, type Tree, text, truth, words } from '../tree.ts'
import { columnReference, conditionsOf, isStarred, walkExpression } from './conditions.ts'
import type { ShardRules, TableRule } from './contract.ts'
import { type Use, UseGraph } from './graph.ts'
import { Level } from './level.ts'
import { type Item, type KeyColumn, QueryItem, type Resolved, Scope, TableItem, UseItem } from './scope.ts'

/** Part of a FROM: what it holds, and how its rows are spread. */
export interface Part {
  readonly items: readonly Item[]
  readonly level: Level
}

/** Between whose rows a condition holds: constants pin items of `pinned`, equalities travel towards items of `reached`. */
export interface Sides {
  readonly pinned: ReadonlySet<Item> | null
  readonly reached: ReadonlySet<Item> | null
  /** Nothing is known of single rows (FULL JOIN): these only meet those. */
  readonly meets?: readonly [ReadonlySet<Item>, ReadonlySet<Item>]
}

export const everySide: Sides = { pinned: null, reached: null }

export abstract class QueryWalk {
  readonly rules: ShardRules
  readonly graph: UseGraph = new UseGraph()
  readonly elsewhere: Set<string> = new Set()
  readonly unnamed: Set<string> = new Set()
  /** Of a WITH that changes data. */
  oneShardOnly = ''
  /** What can be said only when it is known which queries are cut (LIMIT, grouping); and when all links are. */
  readonly #early: (() => void)[] = []
  readonly #later: (() => void)[] = []
  readonly #links = new Map<Tree, Level>()

  constructor(rules: ShardRules) {
    this.rules = rules
  }

  settle(): void {
    for (const check of this.#early) check()
    for (const check of this.#later) check()
  }

  later(check: () => void): void {
    this.#later.push(check)
  }

  /** INSERT, UPDATE, DELETE, MERGE, also inside a WITH. */
  abstract change(type: string, body: Tree, parent: Scope | null): Level

  // --- queries ------------------------------------------------------------------------------------------------

  /** The body of a SelectStmt. */
  select(body: Tree, parent: Scope | null): Level {
    const scope = new Scope(parent)
    this.with(field(body, 'withClause'), scope)
    const operation = text(body, 'op')
    const level =
      operation === '' || operation === 'SETOP_NONE' ? this.#plain(body, scope) : this.#set(body, scope)
    if ('limitCount' in body || 'limitOffset' in body)
      this.#early.push(() => level.incomplete('it has a LIMIT or OFFSET'))
    return level
  }

  with(clause: Tree | undefined, scope: Scope): void {
    const recursive = truth(clause ?? {}, 'recursive')
    for (const node of list(clause, 'ctes')) {
      const entry = field(node, 'CommonTableExpr') ?? {}
      const name = text(entry, 'ctename')
      const [type, query] = opened(field(entry, 'ctequery'))
      if (type !== 'SelectStmt') {
        this.oneShardOnly ||= 'a WITH that changes data'
        scope.queries.set(name, this.change(type, query, scope))
        continue
      }
      if (recursive) scope.queries.set(name, selfReference())
      const level = this.select(query, scope)
      if (recursive && level.sources.length > 0) this.later(() => level.mix('it is a recursive query'))
      const renamed = words(entry, 'aliascolnames')
      scope.queries.set(name, renamed.length === 0 ? level : renamedLevel(level, renamed))
    }
  }

  #plain(body: Tree, scope: Scope): Level {
    const level = new Level()
    if (Array.isArray(body.valuesLists)) {
      this.inside(body.valuesLists, scope, level)
      return level
    }
    const parts = list(body, 'fromClause').map(node => this.from(node, scope))
    for (const part of parts) this.meet(level, part.level)
    for (const node of scope.nullable) level.nullable.add(node)
    this.conditions(field(body, 'whereClause'), scope, level, everySide)
    this.show(level, list(body, 'targetList'), scope)
    for (const key of [
      'targetList',
      'whereClause',
      'groupClause',
      'havingClause',
      'windowClause',
      'sortClause',
    ])
      this.inside(body[key], scope, level)
    this.#grouping(body, level, scope)
    return level
  }

  /** Queries in expressions: asked for each row, or once. */
  inside(value: unknown, scope: Scope, level: Level): void {
    walkExpression(value, { node: () => {}, query: link => this.#linked(link, scope, level) })
  }

  #linked(link: Tree, scope: Scope, level: Level): void {
    const inner = this.#links.get(link) ?? this.#subquery(link, scope)
    this.later(() => {
      if (inner.spread === 'mixed') level.mix(inner.why)
      else if (inner.spread === 'partitioned' && !this.#within(inner, level))
        level.mix('a query inside it reads rows of other shards')
    })
  }

  #subquery(link: Tree, scope: Scope): Level {
    const [, body] = opened(field(link, 'subselect'))
    const level = this.select(body, scope)
    this.#links.set(link, level)
    return level
  }

  /** For each row of `outer` all that matters of `inner` is on the same shard. */
  #within(inner: Level, outer: Level): boolean {
    if (outer.spread !== 'partitioned' || !this.#together(inner.sources, outer.sources)) return false
    return inner.correlated || inner.complete
  }

  #together(some: readonly Use[], others: readonly Use[]): boolean {
    return some.every(one => others.every(other => this.graph.linked(one, other)))
  }

  #set(body: Tree, scope: Scope): Level {
    const left = this.select(field(body, 'larg') ?? {}, scope)
    const right = this.select(field(body, 'rarg') ?? {}, scope)
    const level = new Level()
    const appended = text(body, 'op') === 'SETOP_UNION' && truth(body, 'all')
    level.sources.push(...left.sources, ...right.sources)
    level.correlated = left.correlated && right.correlated
    for (const node of [...left.nullable, ...right.nullable]) level.nullable.add(node)
    left.outputs.forEach((output, i) => {
      const other = right.outputAt(i)
      const both = output.column !== null && typeof other !== 'string'
      level.outputs.push({
        name: output.name,
        column: both ? [...(output.column as KeyColumn), ...other] : null,
      })
    })
    const uncounted = left.stars.length + right.stars.length > 0
    if (uncounted) level.outputs.length = 0
    this.later(() => this.#spreadSet(level, left, right, appended))
    level.spread = level.sources.length > 0 ? 'partitioned' : 'replicated'
    return level
  }

  #spreadSet(level: Level, left: Level, right: Level, appended: boolean): void {
    const sides = [left, right]
    const bad = sides.find(side => side.spread === 'mixed')
    if (bad !== undefined) level.mix(bad.why)
    else if (sides.every(side => side.spread === 'replicated')) level.spread = 'replicated'
    else if (sides.some(side => side.spread === 'replicated'))
      level.mix(
        'one part of it reads sharded tables and the other none: its rows would come from every shard',
      )
    else if (sides.some(side => !side.complete)) level.mix(sides.find(side => !side.complete)?.why ?? '')
    else if (!appended && !this.#alike(left, right))
      level.mix(
        'equal rows of its parts may lie on different shards: the key is not at the same place in both',
      )
  }

  /** Each part shows its whole key, and at the same places: equal rows are on one shard. */
  #alike(left: Level, right: Level): boolean {
    return [...left.sources].every(one =>
      right.sources.every(
        other =>
          one.rule.group === other.rule.group &&
          one.rule.columns.every((_, column) =>
            left.outputs.some(({ column: nodes }, i) => {
              const there = right.outputAt(i)
              return (
                nodes?.includes(one.first + column) === true &&
                typeof there !== 'string' &&
                there.includes(other.first + column) &&
                !left.nullable.has(one.first + column) &&
                !right.nullable.has(other.first + column)
              )
            }),
          ),
      ),
    )
  }

  // --- FROM ---------------------------------------------------------------------------------------------------

  from(node: Tree, scope: Scope): Part {
    const [type, body] = opened(node)
    switch (type) {
      case 'RangeVar':
        return this.relation(body, scope)
      case 'RangeSubselect':
        return this.#subselect(body, scope)
      case 'JoinExpr':
        return this.#join(body, scope)
      default: {
        // A function, VALUES, XMLTABLE: the same on every shard, whatever it calls.
        const level = new Level()
        this.inside(body, scope, level)
        return this.#item(new TableItem(aliasOf(body), null), level, scope)
      }
    }
  }

  /** The content of a RangeVar. */
  relation(body: Tree, scope: Scope): Part {
    const schema = text(body, 'schemaname')
    const bare = text(body, 'relname')
    const alias = aliasOf(body) || bare
    const query = schema === '' ? scope.query(bare) : undefined
    if (query !== undefined) return this.#query(query, alias, renamedBy(body), scope)
    const name = schema === '' ? bare : `${schema}.${bare}`
    const rule = this.rules.table(name)
    if (rule?.kind === 'sharded' && renamedBy(body).length === 0) return this.#use(rule, name, alias, scope)
    if (rule?.kind === 'elsewhere') this.elsewhere.add(name)
    if (rule === null && !isSystem(name)) this.unnamed.add(name)
    const level = new Level()
    if (rule?.kind === 'sharded') level.mix(`the columns of ${name} are renamed`)
    const columns = renamedBy(body).length === 0 ? this.rules.columns(name) : null
    return this.#item(new TableItem(alias, columns), level, scope)
  }

  #use(rule: TableRule, name: string, alias: string, scope: Scope): Part {
    const use = this.graph.add(rule)
    const level = new Level()
    level.spread = 'partitioned'
    level.sources.push(use)
    return this.#item(new UseItem(alias, use, this.rules.columns(name)), level, scope)
  }

  #item(item: Item, level: Level, scope: Scope): Part {
    scope.items.push(item)
    return { items: [item], level }
  }

  #subselect(body: Tree, scope: Scope): Part {
    const [, query] = opened(field(body, 'subquery'))
    return this.#query(this.select(query, scope), aliasOf(body), renamedBy(body), scope)
  }

  #query(inner: Level, alias: string, renamed: readonly string[], scope: Scope): Part {
    const level = new Level()
    level.spread = inner.spread
    level.sources.push(...inner.sources)
    this.#early.push(() => {
      if (!inner.complete && !inner.correlated) level.incomplete(inner.why)
    })
    this.later(() => {
      if (inner.spread === 'mixed') level.mix(inner.why)
      else level.spread = inner.spread
      if (inner.spread === 'partitioned' && !inner.complete && !inner.correlated) level.mix(inner.why)
    })
    for (const node of inner.nullable) scope.nullable.add(node)
    return this.#item(new QueryItem(alias, inner, renamed), level, scope)
  }

  #join(body: Tree, scope: Scope): Part {
    const left = this.from(field(body, 'larg') ?? {}, scope)
    const right = this.from(field(body, 'rarg') ?? {}, scope)
    const kind = text(body, 'jointype')
    const level = new Level()
    const [leftItems, rightItems] = [new Set(left.items), new Set(right.items)]
    const sides: Sides =
      kind === 'JOIN_LEFT'
        ? { pinned: rightItems, reached: rightItems }
        : kind === 'JOIN_RIGHT'
          ? { pinned: leftItems, reached: leftItems }
          : kind === 'JOIN_FULL'
            ? { pinned: new Set(), reached: new Set(), meets: [leftItems, rightItems] }
            : { pinned: new Set([...leftItems, ...rightItems]), reached: null }
    if (kind !== 'JOIN_RIGHT' && kind !== 'JOIN_INNER') markNullable(right, scope)
    if (kind !== 'JOIN_LEFT' && kind !== 'JOIN_INNER') markNullable(left, scope)
    for (const name of words(body, 'usingClause')) {
      scope.merged.add(name)
      this.#using(name, left, right, sides, scope)
    }
    this.conditions(field(body, 'quals'), scope, level, sides)
    this.inside(body.quals, scope, level)
    level.spread = left.level.spread === 'replicated' ? right.level.spread : 'partitioned'
    level.sources.push(...left.level.sources, ...right.level.sources)
    this.#early.push(() => {
      for (const { level: side } of [left, right]) if (!side.complete) level.incomplete(side.why)
    })
    this.later(() => this.#joined(level, kind, left.level, right.level))
    return { items: [...left.items, ...right.items], level }
  }

  #joined(level: Level, kind: string, left: Level, right: Level): void {
    const keeps =
      kind === 'JOIN_LEFT'
        ? [left]
        : kind === 'JOIN_RIGHT'
          ? [right]
          : kind === 'JOIN_FULL'
            ? [left, right]
            : []
    this.#combine(level, [left, right])
    if (level.spread === 'partitioned' && keeps.some(side => side.spread === 'replicated'))
      level.mix('an outer join keeps rows that every shard has: they would come once from each')
  }

  /** What a level's rows are made of, one with every other. */
  meet(level: Level, part: Level): void {
    level.sources.push(...part.sources)
    if (part.spread !== 'replicated') level.spread = 'partitioned'
    const { length } = level.sources
    const before = level.sources.slice(0, length - part.sources.length)
    this.#early.push(() => {
      if (!part.complete) level.incomplete(part.why)
    })
    this.later(() => {
      if (part.spread === 'mixed') level.mix(part.why)
      else if (part.spread === 'partitioned' && !this.#together(part.sources, before))
        level.mix('it joins rows of different shards: the keys are not equal in the join')
    })
  }

  #combine(level: Level, sides: readonly Level[]): void {
    const bad = sides.find(side => side.spread === 'mixed')
    const [left, right] = sides as [Level, Level]
    const met = sides.every(side => side.spread === 'partitioned')
    if (bad !== undefined) level.mix(bad.why)
    else if (met && !this.#together(left.sources, right.sources))
      level.mix('it joins rows of different shards: the keys are not equal in the join')
  }

  // --- conditions ---------------------------------------------------------------------------------------------

  conditions(node: Tree | undefined, scope: Scope, level: Level, sides: Sides): void {
    for (const condition of conditionsOf(node)) {
      if (condition.kind === 'pin') {
        const found = scope.resolve(condition.column)
        if (found === null || found.outer || !holds(found.column, sides.pinned)) continue
        this.#reach(found, () => {
          for (const node of found.column) this.graph.pin(node, condition.values)
        })
      } else if (condition.kind === 'equal')
        this.#equal(scope.resolve(condition.left), scope.resolve(condition.right), level, sides)
      else this.#member(condition.column, condition.link, scope, sides)
    }
  }

  #using(name: string, left: Part, right: Part, sides: Sides, scope: Scope): void {
    const side = (part: Part) => {
      const only = new Scope(null)
      only.items.push(...part.items)
      for (const merged of scope.merged) only.merged.add(merged)
      return only.resolve([name])
    }
    this.#equal(side(left), side(right), new Level(), sides)
  }

  #equal(one: Resolved | null, other: Resolved | null, level: Level, sides: Sides): void {
    if (one === null || other === null || (one.outer && other.outer)) return
    // Of the side that a join keeps nothing is said.
    const oneIn = !one.outer && holds(one.column, sides.reached)
    const otherIn = !other.outer && holds(other.column, sides.reached)
    if (!oneIn && !otherIn && !meet(one, other, sides.meets)) return
    for (const a of one.column) for (const b of other.column) this.graph.link(a, b)
    if (otherIn) this.#reach(other, () => this.#travel(one, other))
    if (oneIn) this.#reach(one, () => this.#travel(other, one))
    if (one.outer !== other.outer) level.correlated = true
  }

  #travel(from: Resolved, to: Resolved): void {
    for (const a of from.column) for (const b of to.column) this.graph.travel(a, b)
  }

  /** What is said of a query's output holds inside it, unless it is cut there: other rows would take their place. */
  #reach({ through }: Resolved, say: () => void): void {
    if (through === null) say()
    else
      this.#early.push(() => {
        if (through.complete) say()
      })
  }

  /** `key IN (SELECT key ...)`. */
  #member(column: readonly string[], link: Tree, scope: Scope, sides: Sides): void {
    const inner = this.#links.get(link) ?? this.#subquery(link, scope)
    const found = scope.resolve(column)
    const output = inner.outputAt(0)
    if (found === null || found.outer || typeof output === 'string' || inner.outputs.length !== 1) return
    if (!holds(found.column, sides.reached)) return
    const within: Resolved = { column: output, outer: false, through: inner }
    for (const a of found.column) for (const b of output) this.graph.link(a, b)
    this.#travel(within, found)
    this.#reach(within, () => this.#travel(found, within))
  }

  // --- what it shows ------------------------------------------------------------------------------------------

  show(level: Level, targets: readonly Tree[], scope: Scope): void {
    for (const node of targets) {
      const target = field(node, 'ResTarget') ?? {}
      const value = field(target, 'val')
      const reference = field(value, 'ColumnRef')
      if (reference !== undefined && isStarred(reference)) {
        const alias = words(reference, 'fields').at(-2)
        level.stars.push(...scope.items.filter(item => alias === undefined || item.alias === alias))
        continue
      }
      const parts = columnReference(value)
      const found = parts === null ? null : scope.resolve(parts)
      const name = text(target, 'name') || parts?.at(-1) || ''
      level.outputs.push({ name, column: found === null || found.outer ? null : found.column })
    }
  }

  /** Grouping, DISTINCT and windows need all rows of a group: they have them where the key is part of it. */
  #grouping(body: Tree, level: Level, scope: Scope): void {
    const needs: { readonly by: readonly Tree[]; readonly why: string }[] = []
    const groups = list(body, 'groupClause')
    if (groups.length > 0)
      needs.push({
        by: groups.map(one => this.#target(one, body, scope)),
        why: 'it groups by something else than the key',
      })
    else if (this.#aggregates(body)) level.incomplete('it counts or adds up over all rows')
    const distinct = list(body, 'distinctClause')
    if (Array.isArray(body.distinctClause)) {
      const plain = distinct.every(one => opened(one)[0] === '')
      const shown = list(body, 'targetList').map(one => field(field(one, 'ResTarget'), 'val') ?? {})
      needs.push({ by: plain ? shown : distinct, why: 'it wants distinct rows without the key' })
    }
    for (const by of this.#windows(body)) needs.push({ by, why: 'a window goes over rows of other keys' })
    for (const { by, why } of needs)
      this.#early.push(() => {
        if (level.spread === 'partitioned' && !this.#keyed(by, level, scope)) level.incomplete(why)
      })
  }

  /** `GROUP BY 2`, or by the name of an output. */
  #target(node: Tree, body: Tree, scope: Scope): Tree {
    const targets = list(body, 'targetList')
    const place = field(field(node, 'A_Const'), 'ival')
    const at = place === undefined ? 0 : number(place, 'ival')
    if (at > 0) return field(field(targets[at - 1], 'ResTarget'), 'val') ?? node
    const parts = columnReference(node)
    if (parts?.length !== 1 || scope.resolve(parts) !== null) return node
    const named = targets.find(one => text(field(one, 'ResTarget'), 'name') === parts[0])
    return field(field(named, 'ResTarget'), 'val') ?? node
  }

  #keyed(by: readonly Tree[], level: Level, scope: Scope): boolean {
    const nodes = by.flatMap(one => {
      const reference = field(one, 'ColumnRef')
      if (reference !== undefined && isStarred(reference)) return level.sources.flatMap(nodesOf)
      const parts = columnReference(one)
      const found = parts === null ? null : scope.resolve(parts)
      return found === null || found.outer ? [] : [...found.column]
    })
    return level.sources.some(use =>
      nodesOf(use).every(node => nodes.includes(node) && !level.nullable.has(node)),
    )
  }

  #aggregates(body: Tree): boolean {
    let found = 'havingClause' in body
    const node = (type: string, call: Tree): void => {
      if (type === 'FuncCall' && field(call, 'over') === undefined) found ||= this.#isAggregate(call)
    }
    walkExpression([body.targetList, body.sortClause], { node, query: () => {} })
    return found
  }

  #isAggregate(call: Tree): boolean {
    if (['agg_star', 'agg_distinct', 'agg_order', 'agg_filter', 'agg_within_group'].some(key => key in call))
      return true
    return this.rules.isAggregate(dotted(words(call, 'funcname')))
  }

  #windows(body: Tree): (readonly Tree[])[] {
    const named = new Map<string, readonly Tree[]>()
    for (const node of list(body, 'windowClause')) {
      const window = field(node, 'WindowDef') ?? {}
      const inherited = named.get(text(window, 'refname')) ?? []
      named.set(text(window, 'name'), [...inherited, ...list(window, 'partitionClause')])
    }
    const found: (readonly Tree[])[] = []
    const node = (type: string, call: Tree): void => {
      const over = type === 'FuncCall' ? field(call, 'over') : undefined
      if (over === undefined) return
      const inherited = named.get(text(over, 'name')) ?? named.get(text(over, 'refname')) ?? []
      found.push([...inherited, ...list(over, 'partitionClause')])
    }
    walkExpression([body.targetList, body.sortClause], { node, query: () => {} })
    return found
  }
}

/** Does a FULL JOIN bring rows of these two together? */
function meet(one: Resolved, other: Resolved, meets: Sides['meets']): boolean {
  if (meets === undefined || one.outer || other.outer) return false
  const [left, right] = meets
  return (
    (holds(one.column, left) && holds(other.column, right)) ||
    (holds(one.column, right) && holds(other.column, left))
  )
}

/** Do all nodes belong to these items? null: to whichever. */
function holds(column: KeyColumn, items: ReadonlySet<Item> | null): boolean {
  if (items === null) return true
  return column.every(node => [...items].some(item => itemNodes(item).includes(node)))
}

function itemNodes(item: Item): readonly number[] {
  if (item instanceof UseItem) return nodesOf(item.use)
  return item instanceof QueryItem ? item.level.sources.flatMap(nodesOf) : []
}

function markNullable({ items }: Part, scope: Scope): void {
  for (const item of items) for (const node of itemNodes(item)) scope.nullable.add(node)
}

function nodesOf(use: Use): number[] {
  return use.rule.columns.map((_, column) => use.first + column)
}

function aliasOf(body: Tree): string {
  return text(field(body, 'alias'), 'aliasname')
}

function renamedBy(body: Tree): readonly string[] {
  return words(field(body, 'alias'), 'colnames')
}

function selfReference(): Level {
  return new Level()
}

function renamedLevel(level: Level, names: readonly string[]): Level {
  level.outputs.forEach((output, i) => {
    const name = names[i]
    if (name !== undefined) level.outputs[i] = { ...output, name }
  })
  return level
}

/** Every shard has its own of these. */
function isSystem(name: string): boolean {
  return /^(pg_|information_schema\.)/.test(name)
}
