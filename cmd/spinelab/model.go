package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"spinebox/models/savedmodel"
)

func modelCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "model", Short: "Look into models"}
	cmd.AddCommand(inspectCommand())
	return cmd
}

func inspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect DIR",
		Short: "Show a SavedModel's signatures, shapes, operations and parameters, without running it",
		Example: `  spinelab model inspect runs/first/model
  spinelab model inspect keras-export --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			info, err := savedmodel.Inspect(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(info)
			}
			printInfo(cmd.OutOrStdout(), info)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printInfo(w io.Writer, info *savedmodel.Info) {
	fmt.Fprintf(w, "written by   TensorFlow %s\n", info.TensorFlow)
	fmt.Fprintf(w, "size         %.1f MB, %d parameters in %d variables\n", float64(info.Bytes)/1e6, info.Parameters, len(info.Variables))
	for _, name := range savedmodel.Names(info.Signatures) {
		s := info.Signatures[name]
		fmt.Fprintf(w, "signature    %s\n", name)
		printTensors(w, "in ", s.Inputs)
		printTensors(w, "out", s.Outputs)
	}
	types := slices.SortedFunc(maps.Keys(info.Operations), func(a, b string) int {
		if c := info.Operations[b] - info.Operations[a]; c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	fmt.Fprint(w, "operations  ")
	for _, name := range types {
		fmt.Fprintf(w, " %s×%d", name, info.Operations[name])
	}
	fmt.Fprintln(w)
	if len(info.Unknown) > 0 {
		fmt.Fprintf(w, "NOT KNOWN to this TensorFlow: %s\n", strings.Join(info.Unknown, ", "))
	}
}

func printTensors(w io.Writer, way string, all map[string]savedmodel.Tensor) {
	for _, name := range savedmodel.Names(all) {
		t := all[name]
		fmt.Fprintf(w, "  %s  %-14s %s %s\n", way, name, t.Type, shapeString(t.Shape))
	}
}

func shapeString(shape []int64) string {
	if shape == nil {
		return "of unknown rank"
	}
	parts := make([]string, len(shape))
	for i, d := range shape {
		parts[i] = fmt.Sprint(d)
		if d < 0 {
			parts[i] = "N"
			if i > 0 {
				parts[i] = "?"
			}
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
