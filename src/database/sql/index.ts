// What others use of the knowledge of SQL.

export { createStatementBook, type StatementBookOptions } from './book.ts'
export { type CatalogueQuery, readCatalogue } from './catalogue.ts'
export {
  type Catalogue,
  type PinReason,
  pinBit,
  pinReasons,
  type StatementBook,
  type StatementInfo,
} from './contract.ts'
export { loadParser } from './parse.ts'
export { shownStatement } from './slow.ts'
export { parsedTransaction, type TransactionWords } from './transaction-words.ts'
