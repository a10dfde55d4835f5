package report

// published is the paper's table: "A Trustable Spine Abnormalities
// Classification System Using ResNet50 and VGG16 Supported by Explainable AI"
// (Biomimetics 2026, 11(3), 206), five folds on the 338 X-rays of Fraiwan et al.
// Only what is known of it stands here. Its figures are means of five folds'
// accuracies; the counts are the only ones of 338 that they can come from.
func published() []Published {
	const n = 338
	known := func(variant string, right int, mean float64, maps string) Published {
		return Published{Variant: variant, Known: true, Pictures: n, Right: right, FoldMean: mean, Accuracy: share(right, n), Maps: maps}
	}
	return []Published{
		{Variant: "resnet50-random"},
		{Variant: "resnet50-features"},
		known("resnet50-finetune", 332, 0.9822, "ResNet50's maps agree better with the clinical view"),
		known("vgg16-random", 317, 0.9379, "its maps miss the clinically relevant regions"),
		{Variant: "vgg16-features"},
		known("vgg16-finetune", 335, 0.9912, ""),
	}
}
