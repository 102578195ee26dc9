import * as z from 'zod';
import { limits } from '../limits.ts';
import { count, fraction, identifier } from './shared.ts';

/** `22:00-07:00` or `Mon-Fri 18:00-08:00`, by the clock of the device; one that ends before it begins ends on the next day. */
export const hoursPattern =
  /^(?:(Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:-(Mon|Tue|Wed|Thu|Fri|Sat|Sun))? )?([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24(?=:00$)):([0-5]\d)$/;

/** What the owner of a device lets the mesh have of it. What is left out is not limited, but for the share: half. */
export const preferences = z
  .object({
    /** Of its cores and of its memory. */
    share: z.number().gt(0).max(1),
    /** `paused`: nothing runs. `draining`: what runs is finished, nothing new is taken. */
    mode: z.enum(['paused', 'draining']),
    /** When the mesh may use it: within any of these. */
    hours: z
      .array(z.string().regex(hoursPattern, { error: 'must be like 22:00-07:00 or Mon-Fri 18:00-08:00' }))
      .min(1)
      .max(limits.hoursPerNode),
    /** Of its hottest processor: above it the mesh slows down, then leaves. */
    temperatureMostCelsius: z.number().min(0).max(150),
    /** While the device runs on its battery: nothing runs below it. */
    batteryLeastShare: fraction,
    /** What must stay available for the device itself. */
    memoryFreeLeastBytes: count,
    /** What the node may send and receive in 24 hours before it takes no more work. */
    networkMostBytesPerDay: count,
    /** Only tasks that ask for at least one of these labels. */
    onlyLabels: z.array(identifier).min(1).max(limits.labelsPerNode),
  })
  .partial();
export type Preferences = z.infer<typeof preferences>;

/** What is left out stays as it is; null lifts a limit. */
export const preferencesChange = z
  .object(
    Object.fromEntries(Object.entries(preferences.shape).map(([name, schema]) => [name, schema.nullable()])) as {
      [Name in keyof typeof preferences.shape]: z.ZodNullable<(typeof preferences.shape)[Name]>;
    },
  )
  .partial();
export type PreferencesChange = z.infer<typeof preferencesChange>;

/** Why a node takes no work now. */
export const withheld = z.object({
  reason: z.enum(['paused', 'draining', 'hours', 'temperature', 'battery', 'memory', 'network']),
  text: z.string().max(limits.reasonCharacters),
});
export type Withheld = z.infer<typeof withheld>;

/** What a node will offer from a moment on, as far as its owner's hours and network budget say: durations, since no two clocks agree. */
export const offerChange = z.object({
  afterMs: count,
  /** Attempts at once, as in a status. */
  slots: z.number().int().min(0).max(limits.slotsPerNode),
  withheld: withheld.optional(),
});
export type OfferChange = z.infer<typeof offerChange>;

/** What holds at a node: what was said on the machine itself, what through the mesh, and of both the stricter. */
export const preferencesHeld = z.object({ device: preferences, mesh: preferences, holds: preferences });
export type PreferencesHeld = z.infer<typeof preferencesHeld>;

/** What an attempt is given while it runs; what is left out stays as it is. */
export const allocation = z.object({
  /** Of one core. */
  cpuShare: z.number().gt(0).max(1).optional(),
  memoryBytes: count.min(limits.memoryBytesLeast).max(limits.memoryBytesMost).optional(),
  /** How many of the node's slots it takes. */
  slots: z.number().int().min(1).max(limits.slotsPerNode).optional(),
});
export type Allocation = z.infer<typeof allocation>;
