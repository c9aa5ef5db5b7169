/**
 * The messages of ours beyond LSP, with their fields; the mirror of lsp_server/protocol.py.
 *
 * tests/test_protocol_mirror.py compares the two files: same names, same fields, same order. The fields are
 * explained there. Unknown is null, never 0.
 */

import { NotificationType, RequestType, RequestType0 } from "vscode-languageserver-protocol";

export const STATUS = new NotificationType<Status>("greenCode/status");
export const SESSION_ENERGY = new NotificationType<SessionEnergy>("greenCode/sessionEnergy");
export const NOT_OFFERED = new NotificationType<NotOffered>("greenCode/notOffered");
export const RESET_SESSION = new RequestType0<SessionEnergy, void>("greenCode/resetSession");
export const HISTORY = new RequestType<HistoryParams, HistoryResult, void>("greenCode/history");
export const CLEAR_HISTORY = new RequestType0<null, void>("greenCode/clearHistory");
export const MODELS = new RequestType0<ModelsResult, void>("greenCode/models");
export const RECENT = new RequestType0<RecentResult, void>("greenCode/recent");
export const SNOOZE = new RequestType<SnoozeParams, null, void>("greenCode/snooze");

export type Health = "ok" | "warning" | "error";

export type Span = "hour" | "day" | "session" | "language";

export type Outcome = "computed" | "reused" | "skipped";

export type Remedy = "none" | "torch" | "restart";
export type Silence = "none" | "off" | "snoozed" | "paused" | "private" | "skipped" | "nothing";

export interface Status {
  readonly health: Health;
  readonly quiescent: boolean;
  readonly message: string;
  readonly remedy: Remedy;
  readonly silence: Silence;
  readonly power: string;
  readonly model: string | null;
  readonly device: string | null;
  readonly remote: string | null;
  readonly meter: string | null;
  readonly meterNotes: readonly string[];
}

export interface NotOffered {
  readonly message: string;
}

export interface SessionEnergy {
  readonly sessionId: string;
  readonly startedAt: string;
  readonly energyJ: number | null;
  readonly provenance: string;
  readonly source: string | null;
  readonly baselineEnergyJ: number | null;
  readonly savedJ: number | null;
  readonly savedLowJ: number | null;
  readonly savedHighJ: number | null;
  readonly wastedJ: number | null;
  readonly prefillJ: number | null;
  readonly decodeJ: number | null;
  readonly policyJ: number | null;
  readonly verificationJ: number | null;
  readonly projectsJ: number | null;
  readonly requests: number;
  readonly offered: number;
  readonly accepted: number;
  readonly cancelled: number;
  readonly reused: number;
  readonly skipped: number;
  readonly offeredChars: number;
  readonly acceptedChars: number;
  readonly tokens: number;
  readonly meanExitLayer: number | null;
  readonly layersTotal: number | null;
  readonly lastMeanExitLayer: number | null;
  readonly lastEnergyJ: number | null;
  readonly lastElapsedS: number | null;
  readonly greenMode: number;
  readonly todayJ: number | null;
  readonly todaySessions: number | null;
}

export interface SnoozeParams {
  readonly minutes: number;
}

export interface HistoryParams {
  readonly by: Span;
  readonly days: number;
  readonly country: string;
}

export interface PeriodEnergy {
  readonly key: string;
  readonly energyJ: number | null;
  readonly provenance: string;
  readonly prefillJ: number | null;
  readonly decodeJ: number | null;
  readonly policyJ: number | null;
  readonly verificationJ: number | null;
  readonly wastedJ: number | null;
  readonly baselineEnergyJ: number | null;
  readonly savedJ: number | null;
  readonly savedLowJ: number | null;
  readonly savedHighJ: number | null;
  readonly requests: number;
  readonly cancelled: number;
  readonly reused: number;
  readonly accepted: number;
  readonly offeredChars: number;
  readonly acceptedChars: number;
}

export interface ProjectsEnergy {
  readonly key: string;
  readonly energyJ: number | null;
}

export interface HistoryResult {
  readonly periods: readonly PeriodEnergy[];
  readonly total: PeriodEnergy | null;
  readonly carbonGPerKwh: number | null;
  readonly carbonSource: string | null;
  readonly restS: number;
  readonly restW: number | null;
  readonly restOfModelW: number | null;
  readonly projectsJ: number | null;
  readonly projects: readonly ProjectsEnergy[];
}

export interface ModelChoice {
  readonly name: string;
  readonly isAdvised: boolean;
  readonly downloadBytes: number;
  readonly runningBytes: number;
  readonly tokenMs: number;
  readonly readsBothSides: boolean;
  readonly lacksTorch: boolean;
  readonly licence: string;
  readonly whyNot: string;
}

export interface ModelsResult {
  readonly models: readonly ModelChoice[];
}

export interface RecentRequest {
  readonly askedAt: string;
  readonly language: string;
  readonly byHand: boolean;
  readonly outcome: Outcome;
  readonly reason: string;
  readonly offeredChars: number;
  readonly elapsedS: number | null;
  readonly energyJ: number | null;
}

export interface RecentResult {
  readonly requests: readonly RecentRequest[];
  readonly status: Status;
  readonly index: string;
}
