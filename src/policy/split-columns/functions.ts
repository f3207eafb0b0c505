// Bodies of the two functions of a split, in PL/pgSQL. One keeps the cold half the same as long as the old columns are there, the
// other does what is said to the view.
//
// A view's trigger gets the row as the statement saw it, and what it shall be. Another transaction may have changed the row since.
// A table would look at the row again and go by what it finds; a view can't: its row must be as the statement saw it, else the
// statement fails with 40001. What a client never gets is the other one's change overwritten.

import type { SplitPlan } from './contract.ts'
import { literal, quoted, splitNames } from './names.ts'

/** Our own variables: no column is likely to have their names, and a column that has one wins. */
const row = 'tenfold_row'
const coldRow = 'tenfold_cold_row'

export function mirrorBody(plan: SplitPlan): string {
  const { cold } = splitNames(plan)
  const { key } = plan
  const both = [...key, ...plan.cold]
  const put = `INSERT INTO ${cold} (${list(both)}) VALUES (${of('NEW', both)})
    ON CONFLICT (${list(key)}) DO UPDATE SET ${plan.cold.map(one => `${quoted(one)} = excluded.${quoted(one)}`).join(', ')}`
  return `
#variable_conflict use_column
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE ${cold};
    RETURN NULL;
  END IF;
  IF TG_OP = 'UPDATE' THEN
    IF ${image('OLD', both)} *= ${image('NEW', both)} THEN RETURN NULL; END IF;
    IF ${image('OLD', key)} *<> ${image('NEW', key)} THEN DELETE FROM ${cold} WHERE ${same(key, 'OLD')}; END IF;
  END IF;
  IF TG_OP = 'DELETE' THEN
    DELETE FROM ${cold} WHERE ${same(key, 'OLD')};
  ELSE
    ${put};
  END IF;
  RETURN NULL;
END`
}

/** `both`: the hot table has the cold columns too, and a trigger of its own for the other half. */
export function halvesBody(plan: SplitPlan, which: 'both' | 'halves'): string {
  const { hot, cold } = splitNames(plan)
  const { key } = plan
  const apart = which === 'halves'
  const there = plan.columns.filter(one => !apart || !plan.cold.includes(one.name))
  const names = there.map(one => one.name)
  const generated = there.filter(one => one.generated !== '').map(one => one.name)
  const written = names.filter(one => !generated.includes(one))
  const identity = there.find(one => one.identity !== '')?.name
  const coldParts = [...key, ...plan.cold]
  const taken = names.map(one => `NEW.${quoted(one)} := ${row}.${quoted(one)};`).join(' ')

  const insert = (columns: readonly string[]): string =>
    columns.length === 0
      ? `INSERT INTO ${hot} DEFAULT VALUES RETURNING * INTO ${row};`
      : `INSERT INTO ${hot} (${list(columns)}) VALUES (${of('NEW', columns)}) RETURNING * INTO ${row};`
  const inserted =
    identity === undefined
      ? insert(written)
      : `IF NEW.${quoted(identity)} IS NULL THEN ${insert(written.filter(one => one !== identity))}
    ELSE ${insert(written)} END IF;`
  const putCold = `INSERT INTO ${cold} (${list(coldParts)}) VALUES (${of('NEW', coldParts)})`
  const overCold = `ON CONFLICT (${list(key)}) DO UPDATE SET ${plan.cold.map(one => `${quoted(one)} = excluded.${quoted(one)}`).join(', ')}`
  const compared = written.filter(one => !generated.includes(one))
  const changed = [
    `${image(row, compared)} *<> ${image('OLD', compared)}`,
    ...(apart ? [`${image(coldRow, plan.cold)} *<> ${image('OLD', plan.cold)}`] : []),
  ].join('\n      OR ')
  return `
#variable_conflict use_column
DECLARE
  ${row} record;
  ${coldRow} record;
  tenfold_own boolean;
BEGIN
  IF TG_OP = 'INSERT' THEN
    ${generated.map(one => refuseValue(one, `NEW.${quoted(one)} IS NOT NULL`, 'insert')).join('\n    ')}
    ${inserted}
    ${taken}
    ${apart ? `${putCold};` : ''}
    RETURN NEW;
  END IF;
  SELECT * INTO ${row} FROM ${hot} WHERE ${same(key, 'OLD')} FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  ${apart ? `SELECT ${list(plan.cold)} INTO ${coldRow} FROM ${cold} WHERE ${same(key, 'OLD')} FOR UPDATE;` : ''}
  IF ${changed} THEN
    SELECT xmin = pg_current_xact_id()::xid INTO tenfold_own FROM ${hot} WHERE ${same(key, 'OLD')};
    -- A row that the statement meets twice is changed once.
    IF tenfold_own THEN RETURN NULL; END IF;
    RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'could not serialize access due to concurrent update',
      DETAIL = ${literal(`Another transaction has changed the row of '${plan.table}', which is a view over two tables, since the statement began.`)},
      HINT = 'Try the transaction again.';
  END IF;
  IF TG_OP = 'DELETE' THEN
    DELETE FROM ${hot} WHERE ${same(key, 'OLD')};
    RETURN OLD;
  END IF;
  ${generated.map(one => refuseValue(one, `${image('NEW', [one])} *<> ${image('OLD', [one])}`, 'update')).join('\n  ')}
  ${updateText(plan, hot, written, identity, apart)}
  ${taken}
  ${
    apart
      ? `IF ${image('NEW', plan.cold)} *<> ${image('OLD', plan.cold)} THEN
    ${putCold} ${overCold};
  END IF;`
      : ''
  }
  RETURN NEW;
END`
}

/** What is written only by the server itself is set only where it changes: PostgreSQL refuses it then, as ever. */
function updateText(
  plan: SplitPlan,
  hot: string,
  written: readonly string[],
  identity: string | undefined,
  apart: boolean,
): string {
  const set = (columns: readonly string[]): string =>
    `UPDATE ${hot} SET ${columns.map(one => `${quoted(one)} = NEW.${quoted(one)}`).join(', ')} WHERE ${same(plan.key, 'OLD')} RETURNING * INTO ${row};`
  const always = plan.columns.find(one => one.name === identity)?.identity === 'a'
  const own = always ? written.filter(one => one !== identity) : written
  const update =
    identity !== undefined && always
      ? `IF ${image('NEW', [identity])} *<> ${image('OLD', [identity])} THEN ${set(written)}
  ELSE ${own.length === 0 ? 'NULL;' : set(own)} END IF;`
      : set(written)
  // A row whose hot half stays as it is need not be written.
  return apart ? `IF ${image('NEW', written)} *<> ${image('OLD', written)} THEN ${update} END IF;` : update
}

function refuseValue(column: string, when: string, doing: 'insert' | 'update'): string {
  const message =
    doing === 'insert'
      ? `cannot insert a non-DEFAULT value into column "${column}"`
      : `column "${column}" can only be updated to DEFAULT`
  return `IF ${when} THEN RAISE EXCEPTION USING ERRCODE = '428C9', MESSAGE = ${literal(message)}, DETAIL = ${literal(`Column "${column}" is a generated column.`)}; END IF;`
}

function list(names: readonly string[]): string {
  return names.map(quoted).join(', ')
}

function of(alias: string, names: readonly string[]): string {
  return names.map(one => `${alias}.${quoted(one)}`).join(', ')
}

/** Compared bit by bit: every type can be. */
function image(alias: string, names: readonly string[]): string {
  return `ROW(${of(alias, names)})::record`
}

function same(key: readonly string[], alias: string): string {
  return key.map(one => `${quoted(one)} = ${alias}.${quoted(one)}`).join(' AND ')
}
