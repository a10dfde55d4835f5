package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"spinebox/models/weights"
)

func weightsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "weights", Short: "Bring in pretrained weights"}
	cmd.AddCommand(importCommand())
	return cmd
}

func importCommand() *cobra.Command {
	var out, origin string
	cmd := &cobra.Command{
		Use:   "import FILE --out FILE",
		Short: "Make a backbone for features and finetune out of Keras' weights",
		Long: `Make a backbone for "spinelab train --method features" and "--method finetune" out
of weights of VGG16 or ResNet50 that Keras or TensorFlow has written:

  an .h5 of Keras' legacy layout, with or without the top, of weights or of a
  whole model. Keras' own files with ImageNet's weights are known by their MD5;
  another file is taken with a warning.
  a SavedModel's folder, or a TensorFlow checkpoint (PREFIX of PREFIX.index),
  whose variables have Keras' names.

The weights must expect Keras' own preprocessing for these networks (BGR, means
subtracted), which no file tells. Heads are left out. What does not fit, such as
a ResNet of version 1.5, is refused with the reason.`,
		Example: `  spinelab weights import resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5 --out resnet50.safetensors
  spinelab weights import keras-export --out vgg16.safetensors --origin "RadImageNet, hospital's own training"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			i, err := weights.Import(args[0])
			if err != nil {
				return err
			}
			errw, outw := cmd.ErrOrStderr(), cmd.OutOrStdout()
			if !i.Own {
				fmt.Fprintln(errw, "warning: this is not one of the files that Keras publishes: whether it knows anything, and expects Keras' preprocessing, nobody has checked")
			}
			if len(i.Left) > 0 {
				fmt.Fprintf(errw, "left out, since the head is trained anew: %s\n", strings.Join(i.Left, ", "))
			}
			if origin != "" && !i.Own {
				i.Origin = origin
			}
			if err := i.Write(out); err != nil {
				return err
			}
			fmt.Fprintf(outw, "%s: %s, %s\nSHA-256 %s\n", out, i.Architecture, i.Origin, i.Digest)
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "the safetensors file to write")
	cmd.Flags().StringVar(&origin, "origin", "", "what the weights learned from, in a few words: every model that descends from them repeats it (Keras' own files say it themselves)")
	must(cmd.MarkFlagRequired("out"))
	return cmd
}
