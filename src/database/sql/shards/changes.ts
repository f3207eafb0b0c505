// Statements that change rows: whose, and where the keys of new rows come from. What UPDATE and DELETE read beside their
// table is a join with it.

import { field, list, opened, type Tree, text } from '../tree.ts'
import { sourceOf } from './conditions.ts'
import type { InsertRow, KeySource, ShardFacts, TableRule } from './contract.ts'
import { Level } from './level.ts'
import { everySide, QueryWalk } from './queries.ts'
import { Scope } from './scope.ts'

export class StatementWalk extends QueryWalk {
  readonly writesEverywhere: Set<string> = new Set()
  readonly writesSharded: Set<string> = new Set()
  insert: ShardFacts['insert'] = null
  movesRows = false

  change(type: string, body: Tree, parent: Scope | null): Level {
    const scope = new Scope(parent)
    this.with(field(body, 'withClause'), scope)
    switch (type) {
      case 'InsertStmt':
        return this.#insert(body, scope)
      case 'UpdateStmt':
        return this.#update(body, scope)
      case 'DeleteStmt':
        return this.#rows(body, scope, 'usingClause')
      default:
        return this.#merge(body, scope)
    }
  }

  #update(body: Tree, scope: Scope): Level {
    const rule = this.rules.table(relationName(field(body, 'relation')))
    for (const node of list(body, 'targetList')) {
      const target = field(node, 'ResTarget') ?? {}
      if (rule?.columns.includes(text(target, 'name')) === true) this.movesRows = true
    }
    return this.#rows(body, scope, 'fromClause')
  }

  #rows(body: Tree, scope: Scope, beside: string): Level {
    const rule = this.#target(body)
    const level = new Level()
    this.meet(level, this.relation(field(body, 'relation') ?? {}, scope).level)
    for (const node of list(body, beside)) this.meet(level, this.from(node, scope).level)
    this.conditions(field(body, 'whereClause'), scope, level, everySide)
    const returned = list(field(body, 'returningClause'), 'exprs')
    this.inside([body.targetList, body.whereClause, returned], scope, level)
    this.show(level, returned, scope)
    this.later(() => {
      if (rule?.kind === 'everywhere' && level.spread === 'partitioned')
        level.mix(`what is written to ${rule.name}, on all shards, depends on rows of single ones`)
    })
    return level
  }

  #merge(body: Tree, scope: Scope): Level {
    this.oneShardOnly ||= 'MERGE'
    this.#target(body)
    const level = new Level()
    this.meet(level, this.relation(field(body, 'relation') ?? {}, scope).level)
    this.meet(level, this.from(field(body, 'sourceRelation') ?? {}, scope).level)
    this.later(() => level.mix('MERGE is not understood over shards'))
    return level
  }

  #target(body: Tree): TableRule | null {
    const rule = this.rules.table(relationName(field(body, 'relation')))
    if (rule?.kind === 'everywhere') this.writesEverywhere.add(rule.name)
    if (rule?.kind === 'sharded') this.writesSharded.add(rule.name)
    return rule
  }

  #insert(body: Tree, scope: Scope): Level {
    const rule = this.#target(body)
    const relation = field(body, 'relation')
    const [, query] = opened(field(body, 'selectStmt'))
    const level = this.select(query, scope)
    this.inside([body.onConflictClause, body.returningClause], scope, level)
    // Notes a table that is elsewhere, or has no name in the file.
    if (rule?.kind !== 'sharded') {
      this.relation(relation ?? {}, new Scope(null))
      this.later(() => {
        if (rule?.kind === 'everywhere' && level.spread === 'partitioned')
          level.mix(`what is written to ${rule.name}, on all shards, depends on rows of single ones`)
      })
      return level
    }
    const columns = this.#columns(body, rule)
    if (Array.isArray(query.valuesLists)) this.#values(query.valuesLists as readonly Tree[], columns, rule)
    else if (field(body, 'selectStmt') === undefined) this.insert = { table: rule.name, rows: [[undefined]] }
    else this.#selected(level, columns, rule)
    return level
  }

  /** Places of the key's columns among those that are given; -1: not given. Null: the catalogue is not known yet. */
  #columns(body: Tree, rule: TableRule): readonly number[] | null {
    const named = list(body, 'cols').map(node => text(field(node, 'ResTarget'), 'name'))
    const all = named.length > 0 ? named : this.rules.columns(relationName(field(body, 'relation')))
    return all === null ? null : rule.columns.map(column => all.indexOf(column))
  }

  #values(rows: readonly Tree[], columns: readonly number[] | null, rule: TableRule): void {
    const row = (node: Tree): InsertRow => {
      const items = list(field(node, 'List'), 'items')
      return (columns ?? rule.columns.map(() => -2)).map(at => keyOf(items, at))
    }
    this.insert = { table: rule.name, rows: rows.map(row) }
  }

  /** INSERT ... SELECT: each row stays on the shard where it was read. */
  #selected(level: Level, columns: readonly number[] | null, rule: TableRule): void {
    const use = this.graph.add(rule)
    rule.columns.forEach((_, i) => {
      const found = columns === null ? 'unknown' : level.outputAt(columns[i] as number)
      if (typeof found === 'string') return
      for (const node of found) {
        this.graph.link(node, use.first + i)
        this.graph.travel(node, use.first + i)
      }
    })
    this.later(() => {
      if (level.spread === 'mixed') return
      const stays = level.sources.length > 0 && level.sources.every(one => this.graph.linked(one, use))
      if (!stays) level.mix(`the keys of the rows for ${rule.name} are known only once they have been read`)
      else if (!level.complete) level.mix(level.why)
    })
  }
}

function keyOf(items: readonly Tree[], at: number): KeySource | null | undefined {
  const item = items[at]
  if (at === -2) return null
  if (at < 0 || item === undefined || 'SetToDefault' in item) return undefined
  return sourceOf(item)
}

export function relationName(relation: Tree | undefined): string {
  const schema = text(relation, 'schemaname')
  const name = text(relation, 'relname')
  return schema === '' ? name : `${schema}.${name}`
}
