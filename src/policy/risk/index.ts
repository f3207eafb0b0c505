// The risk of a request, 0 to 100: what others may use of this folder.

export { type Agent, type AgentFamily, agentOf } from './agent.ts'
export { type RiskThresholds, riskAnswer, riskAnswerOf } from './answer.ts'
export { type Crawler, type CrawlerPurpose, crawlerOf, isHostOf, knownCrawlers } from './crawlers.ts'
export { couldBeFramed, type RequestOrigin } from './framed.ts'
export { ClientHistory, deed, historyBytes, historyRows } from './history.ts'
export {
  type RiskName,
  type RiskReason,
  reasonsOf,
  riskBit,
  riskMax,
  riskOf,
  riskReasons,
} from './reasons.ts'
export { type RequestShape, shapeRisk } from './shape.ts'
export { tlsFit, tlsFitOf } from './tls.ts'
