// Random scripts that write: statements by themselves and in transactions with savepoints, over tables of every placement.
// Whatever they leave must be the same on both sides, so that nothing in them is left to chance.

import type { GeneratorValue } from 'fast-check'
import fc from 'fast-check'
import type { RandomStatement } from './random-reads.ts'

const words = ['a', 'B', 'é', "it's", '', '\\', 'x y']
const regions = ['eu', 'us', 'US', 'Ümlaut', 'asia', 'e u']

class Writes {
  readonly #draw: GeneratorValue
  #values: string[] = []

  constructor(draw: GeneratorValue) {
    this.#draw = draw
  }

  #one<T>(of: readonly T[]): T {
    return this.#draw(fc.constantFrom, ...of) as T
  }

  #upTo(max: number): number {
    return this.#draw(fc.nat, max)
  }

  #maybe(n: number): boolean {
    return this.#upTo(n - 1) === 0
  }

  #given(value: string, quoted: boolean): string {
    if (this.#maybe(3)) {
      this.#values.push(value)
      return `$${this.#values.length}`
    }
    return quoted ? `'${value.replaceAll("'", "''")}'` : value
  }

  #id(): string {
    return this.#given(String(this.#upTo(45)), false)
  }

  #word(): string {
    return this.#maybe(6) ? 'NULL' : this.#given(this.#one(words), true)
  }

  #rows(row: () => string): string {
    return Array.from({ length: 1 + this.#upTo(3) }, () => `(${row()})`).join(', ')
  }

  #keys(column: string): string {
    switch (this.#upTo(4)) {
      case 0:
        return `${column} IN (${this.#id()}, ${this.#id()}, ${this.#id()})`
      case 1:
        return `${column} > ${this.#id()}`
      default:
        return `${column} = ${this.#id()}`
    }
  }

  /** One statement. */
  #statement(): string {
    const returning = this.#maybe(3) ? ' RETURNING *' : ''
    switch (this.#upTo(18)) {
      case 0:
      case 1: {
        const conflict = this.#one([
          '',
          ' ON CONFLICT DO NOTHING',
          ' ON CONFLICT (id) DO UPDATE SET name = excluded.name',
        ])
        return `INSERT INTO customers (id, name, spent) VALUES ${this.#rows(() => `${this.#id()}, ${this.#word()}, ${this.#upTo(9)}`)}${conflict}${returning}`
      }
      case 2:
        return `UPDATE customers SET name = ${this.#word()}, spent = ${this.#upTo(99)} WHERE ${this.#keys('id')}${returning}`
      case 3:
        return `DELETE FROM lines WHERE ${this.#keys('customer')} AND quantity < ${this.#upTo(3)}${returning}`
      case 4:
        return `INSERT INTO orders (customer, number, price) VALUES ${this.#rows(() => `${this.#id()}, ${this.#upTo(400)}, ${this.#upTo(50)}.25`)} ON CONFLICT DO NOTHING${returning}`
      case 5:
        return `UPDATE orders SET price = price + ${this.#upTo(5)}, code = ${this.#word()} WHERE ${this.#keys('customer')}${returning}`
      case 6:
        return `DELETE FROM orders WHERE ${this.#keys('customer')} AND number > ${200 + this.#upTo(200)}${returning}`
      case 7:
        return `UPDATE events SET kind = ${this.#word()} WHERE at ${this.#one(['=', '>', '<'])} ${this.#id()}${returning}`
      case 8:
        return `INSERT INTO events (at, kind) VALUES ${this.#rows(() => `${this.#given(String(this.#upTo(300) - 100), false)}, ${this.#word()}`)} ON CONFLICT (at) DO UPDATE SET kind = 'again'${returning}`
      case 9:
        return `INSERT INTO tenants VALUES ${this.#rows(() => `${this.#given(this.#one(regions), true)}, 'n${this.#upTo(40)}', ${this.#upTo(9)}`)} ON CONFLICT DO NOTHING`
      case 10:
        return `UPDATE tenants SET size = size + 1 WHERE region = ${this.#given(this.#one(regions), true)}${returning}`
      case 11:
        return `UPDATE accounts SET balance = balance - 1 WHERE account = 'acc-${this.#upTo(4)}-${this.#upTo(24)}'${returning}`
      case 12:
        return `UPDATE films SET title = title || ${this.#upTo(9)} WHERE id = ${this.#upTo(8)}`
      case 13:
        return `INSERT INTO genres VALUES (${this.#upTo(20)}, 'g${this.#upTo(30)}')${this.#maybe(2) ? ' ON CONFLICT DO NOTHING' : ''}`
      case 14:
        return `UPDATE pairs SET value = ${this.#word()} WHERE a = ${this.#given(this.#one(['x', 'y', 'z', 'é']), true)} AND b = ${this.#upTo(40)}`
      case 15:
        return `UPDATE events SET at = at + ${500 + this.#upTo(500)} WHERE at = ${this.#id()}`
      case 16:
        return `UPDATE settings SET value = ${this.#word()} WHERE name = 'theme'${returning}`
      case 17:
        return `SELECT count(*), sum(number), max(price) FROM orders WHERE ${this.#keys('customer')}`
      default:
        return `UPDATE orders SET number = -1 WHERE customer = ${this.#id()} AND number = (SELECT max(o.number) FROM orders o WHERE o.customer = ${this.#id()} AND false)`
    }
  }

  #next(): RandomStatement {
    this.#values = []
    const text = this.#statement()
    return { text, values: this.#values.length === 0 ? undefined : this.#values }
  }

  script(): readonly RandomStatement[] {
    const steps: RandomStatement[] = []
    const word = (text: string): void => void steps.push({ text, values: undefined })
    const inTransaction = this.#maybe(2)
    if (inTransaction)
      word(this.#one(['BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'START TRANSACTION']))
    let saved = false
    for (let count = 1 + this.#upTo(4); count > 0; count--) {
      if (inTransaction && this.#maybe(5)) {
        word(saved && this.#maybe(2) ? this.#one(['ROLLBACK TO here', 'RELEASE here']) : 'SAVEPOINT here')
        saved = steps.at(-1)?.text === 'SAVEPOINT here'
      } else steps.push(this.#next())
    }
    if (inTransaction) word(this.#one(['COMMIT', 'COMMIT', 'COMMIT', 'ROLLBACK']))
    return steps
  }
}

export function randomScript(draw: GeneratorValue): readonly RandomStatement[] {
  return new Writes(draw).script()
}
