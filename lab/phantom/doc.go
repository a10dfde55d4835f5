// Package phantom draws made X-rays of the spine whose truth is known: what
// class each belongs to, how strong its curve or slip is, and where a network
// ought to look. They serve tests, the demo, golden cases and sanity
// experiments. They are no patients, are never mixed with real pictures, and
// say so in every file.
//
// Most callers need two calls: Draw makes one phantom in memory, and Set.Write
// makes a folder of them in the layout of the paper's archive.
//
// A phantom begins as a spine of corners in millimetres: an AP column bent
// until the Cobb angle between its endplates is the one asked for, or a lateral
// column stacked upwards from the sacrum with one vertebra moved forward by the
// slip. Outlines around those corners add up the lengths that rays travel
// through soft tissue and bone; Beer and Lambert's law, scatter, noise, blur
// and a digital system's display processing make a picture of them. Angles,
// slips and masks of the truth are measured on the same corners.
//
// What the classes have in common is drawn from the same chance for all:
// shape, size, mean grey, borders, markers, file quality. A shortcut breaks
// exactly one of these, on demand.
package phantom
